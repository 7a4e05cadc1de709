/**
 * Models by name. An entry is what the model's config.json says and no more, read by the same reader as any other
 * config.json; what a model takes is derived from it.
 */

import { TidelineError } from "../../errors.ts";
import type { JsonObject } from "../../input/json.ts";
import type { Architecture } from "./architecture.ts";
import { readArchitecture } from "./from-config.ts";
import { REPOSITORIES } from "./repositories.ts";

type Sizes = readonly [
  hidden: number,
  intermediate: number,
  layers: number,
  heads: number,
  kvHeads: number,
  vocabulary: number,
];

function config(family: string, positions: number, sizes: Sizes, more: JsonObject = {}): JsonObject {
  const [hidden_size, intermediate_size, num_hidden_layers, num_attention_heads, num_key_value_heads, vocab_size] =
    sizes;
  return {
    model_type: family,
    max_position_embeddings: positions,
    hidden_size,
    intermediate_size,
    num_hidden_layers,
    num_attention_heads,
    num_key_value_heads,
    vocab_size,
    ...more,
  };
}

const TIED = { tie_word_embeddings: true } as const;
const llama2 = (...sizes: Sizes) => config("llama", 4096, sizes);
const llama3 = (...sizes: Sizes) => config("llama", 131_072, sizes);
const qwen2 = (...sizes: Sizes) => config("qwen2", 32_768, sizes, { use_sliding_window: false });
const qwen3 = (...sizes: Sizes) => config("qwen3", 40_960, sizes, { head_dim: 128 });
const tied = (object: JsonObject): JsonObject => ({ ...object, ...TIED });

const LLAMA_31_8B = llama3(4096, 14_336, 32, 32, 8, 128_256);
const LLAMA_31_70B = llama3(8192, 28_672, 80, 64, 8, 128_256);
const QWEN25_7B = qwen2(3584, 18_944, 28, 28, 4, 152_064);
const QWEN25_14B = qwen2(5120, 13_824, 48, 40, 8, 152_064);
const QWEN25_32B = qwen2(5120, 27_648, 64, 40, 8, 152_064);
const QWEN3_8B = qwen3(4096, 12_288, 36, 32, 8, 151_936);

const qwen3Experts = (intermediate: number, sizes: Sizes): JsonObject =>
  config("qwen3_moe", 40_960, sizes, {
    head_dim: 128,
    num_experts: 128,
    num_experts_per_tok: 8,
    moe_intermediate_size: intermediate,
  });

/** DeepSeek's latent attention and experts. */
const deepseek = (family: string, sizes: Sizes, more: JsonObject): JsonObject =>
  config(family, 163_840, sizes, {
    kv_lora_rank: 512,
    qk_nope_head_dim: 128,
    qk_rope_head_dim: 64,
    v_head_dim: 128,
    ...more,
  });
const DEEPSEEK_V3 = deepseek("deepseek_v3", [7168, 18_432, 61, 128, 128, 129_280], {
  q_lora_rank: 1536,
  moe_intermediate_size: 2048,
  n_routed_experts: 256,
  n_shared_experts: 1,
  num_experts_per_tok: 8,
  first_k_dense_replace: 3,
});

const CONFIGS = {
  "Qwen2.5-0.5B": tied(qwen2(896, 4864, 24, 14, 2, 151_936)),
  "Qwen2.5-1.5B": tied(qwen2(1536, 8960, 28, 12, 2, 151_936)),
  "Qwen2.5-3B": tied(qwen2(2048, 11_008, 36, 16, 2, 151_936)),
  "Qwen2.5-7B": QWEN25_7B,
  "Qwen2.5-14B": QWEN25_14B,
  "Qwen2.5-32B": QWEN25_32B,
  "Qwen2.5-72B": qwen2(8192, 29_568, 80, 64, 8, 152_064),
  "QwQ-32B": QWEN25_32B,
  "Qwen3-0.6B": tied(qwen3(1024, 3072, 28, 16, 8, 151_936)),
  "Qwen3-1.7B": tied(qwen3(2048, 6144, 28, 16, 8, 151_936)),
  "Qwen3-4B": tied(qwen3(2560, 9728, 36, 32, 8, 151_936)),
  "Qwen3-8B": QWEN3_8B,
  "Qwen3-14B": qwen3(5120, 17_408, 40, 40, 8, 151_936),
  "Qwen3-32B": qwen3(5120, 25_600, 64, 64, 8, 151_936),
  "Qwen3-30B-A3B": qwen3Experts(768, [2048, 6144, 48, 32, 4, 151_936]),
  "Qwen3-235B-A22B": qwen3Experts(1536, [4096, 12_288, 94, 64, 4, 151_936]),
  "Llama-2-7B": llama2(4096, 11_008, 32, 32, 32, 32_000),
  "Llama-2-13B": llama2(5120, 13_824, 40, 40, 40, 32_000),
  "Llama-2-70B": llama2(8192, 28_672, 80, 64, 8, 32_000),
  "Llama-3-8B": { ...LLAMA_31_8B, max_position_embeddings: 8192 },
  "Llama-3-70B": { ...LLAMA_31_70B, max_position_embeddings: 8192 },
  "Llama-3.1-8B": LLAMA_31_8B,
  "Llama-3.1-70B": LLAMA_31_70B,
  "Llama-3.1-405B": llama3(16_384, 53_248, 126, 128, 8, 128_256),
  "Llama-3.2-1B": tied({ ...llama3(2048, 8192, 16, 32, 8, 128_256), head_dim: 64 }),
  "Llama-3.2-3B": tied({ ...llama3(3072, 8192, 28, 24, 8, 128_256), head_dim: 128 }),
  "Llama-3.3-70B": LLAMA_31_70B,
  "Mistral-7B-v0.1": config("mistral", 32_768, [4096, 14_336, 32, 32, 8, 32_000], { sliding_window: 4096 }),
  "Mistral-7B-v0.3": config("mistral", 32_768, [4096, 14_336, 32, 32, 8, 32_768], { sliding_window: null }),
  "Mistral-Nemo-12B": config("mistral", 131_072, [5120, 14_336, 40, 32, 8, 131_072], {
    head_dim: 128,
    sliding_window: null,
  }),
  "Mixtral-8x7B": config("mixtral", 32_768, [4096, 14_336, 32, 32, 8, 32_000], {
    num_local_experts: 8,
    num_experts_per_tok: 2,
    sliding_window: null,
  }),
  "Mixtral-8x22B": config("mixtral", 65_536, [6144, 16_384, 56, 48, 8, 32_768], {
    num_local_experts: 8,
    num_experts_per_tok: 2,
    sliding_window: null,
  }),
  "gemma-2b": config("gemma", 8192, [2048, 16_384, 18, 8, 1, 256_000], { head_dim: 256 }),
  "gemma-1.1-2b": config("gemma", 8192, [2048, 16_384, 18, 8, 1, 256_000], { head_dim: 256 }),
  "gemma-7b": config("gemma", 8192, [3072, 24_576, 28, 16, 16, 256_000], { head_dim: 256 }),
  "gemma-2-2b": config("gemma2", 8192, [2304, 9216, 26, 8, 4, 256_000], { head_dim: 256, sliding_window: 4096 }),
  "gemma-2-9b": config("gemma2", 8192, [3584, 14_336, 42, 16, 8, 256_000], { head_dim: 256, sliding_window: 4096 }),
  "gemma-2-27b": config("gemma2", 8192, [4608, 36_864, 46, 32, 16, 256_000], { head_dim: 128, sliding_window: 4096 }),
  "DeepSeek-V2-Lite": deepseek("deepseek_v2", [2048, 10_944, 27, 16, 16, 102_400], {
    q_lora_rank: null,
    moe_intermediate_size: 1408,
    n_routed_experts: 64,
    n_shared_experts: 2,
    num_experts_per_tok: 6,
    first_k_dense_replace: 1,
  }),
  "DeepSeek-V3": DEEPSEEK_V3,
  "DeepSeek-R1": DEEPSEEK_V3,
  "DeepSeek-R1-Distill-Qwen-1.5B": qwen2(1536, 8960, 28, 12, 2, 151_936),
  "DeepSeek-R1-Distill-Qwen-7B": QWEN25_7B,
  "DeepSeek-R1-Distill-Qwen-14B": QWEN25_14B,
  "DeepSeek-R1-Distill-Qwen-32B": QWEN25_32B,
  "DeepSeek-R1-Distill-Llama-8B": LLAMA_31_8B,
  "DeepSeek-R1-Distill-Llama-70B": LLAMA_31_70B,
  "DeepSeek-R1-0528-Qwen3-8B": QWEN3_8B,
  "SmolLM2-135M": tied({ ...llama3(576, 1536, 30, 9, 3, 49_152), max_position_embeddings: 8192 }),
  "SmolLM2-360M": tied({ ...llama3(960, 2560, 32, 15, 5, 49_152), max_position_embeddings: 8192 }),
  "SmolLM2-1.7B": tied({ ...llama3(2048, 8192, 24, 32, 32, 49_152), max_position_embeddings: 8192 }),
  "TinyLlama-1.1B": { ...llama2(2048, 5632, 22, 32, 4, 32_000), max_position_embeddings: 2048 },
} as const satisfies Readonly<Record<string, JsonObject>>;

export type ModelName = keyof typeof CONFIGS;

interface Entry {
  readonly name: string;
  readonly config: JsonObject;
  readonly repository: string;
}

const ENTRIES: readonly Entry[] = Object.entries(CONFIGS).map(([name, object]) => ({
  name,
  config: object,
  repository: REPOSITORIES[name as ModelName],
}));

/** In the order in which they are offered. */
export const MODEL_NAMES: readonly string[] = ENTRIES.map(({ name }) => name);

const byKey = new Map<string, Entry>(
  ENTRIES.flatMap((entry) => [entry.repository, entry.name].map((name) => [key(name), entry] as const)),
);
/** Read once: what is asked about a shape is remembered by its identity. */
const architectures = new Map<string, Architecture>();

/** The name in the catalogue of what a person or a log calls a model: with its organisation, as `-Instruct`, in capitals. */
export function catalogueName(name: string): string | undefined {
  return byKey.get(key(name))?.name;
}

/**
 * The repository on the Hugging Face hub of what a person calls a model; undefined where only they know it: a name without
 * an organisation that is neither the catalogue's nor the repository's, such as that of another tuning.
 */
export function repositoryOf(name: string): string | undefined {
  if (name.includes("/")) return name;
  const entry = byKey.get(key(name));
  const same = [entry?.name, entry?.repository.split("/").at(-1)].some(
    (known) => known?.toLowerCase() === name.toLowerCase(),
  );
  return same ? entry?.repository : undefined;
}

/** @throws TidelineError bad_argument with `field`, listing the catalogue. */
export function modelNamed(name: string, field = "model"): Architecture {
  const found = entryNamed(name, field);
  const known = architectures.get(found.name);
  if (known !== undefined) return known;
  const { architecture } = readArchitecture(found.config, found.name);
  architectures.set(found.name, architecture);
  return architecture;
}

/**
 * The fields of its config.json that say its shape.
 * @throws TidelineError bad_argument with `field`, listing the catalogue.
 */
export function configNamed(name: string, field = "model"): JsonObject {
  return entryNamed(name, field).config;
}

function entryNamed(name: string, field: string): Entry {
  const found = byKey.get(key(name));
  if (found !== undefined) return found;
  throw new TidelineError({
    code: "bad_argument",
    field,
    message: `${field}: there is no "${name}" in the catalogue`,
    hint: `Give a config.json, or one of: ${MODEL_NAMES.join(", ")}`,
  });
}

/** "qwen257b": what is left of a name without organisation, spelling and tuning. */
function key(name: string): string {
  const last = name.split("/").at(-1) ?? name;
  return last
    .toLowerCase()
    .replace(/-(instruct|chat|base|it|hf)(?=-|$)/g, "")
    .replace(/^meta-/, "")
    .replace(/[^a-z0-9.]/g, "");
}
