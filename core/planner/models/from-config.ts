/**
 * The architecture that a config.json describes. Unlike core/checkpoint/config.ts, which refuses what the engine cannot
 * compute, this reads every decoder that can be planned with: fields that are missing take the default of the family's
 * configuration class in transformers 5, and a family that is not known is read by its fields, which `assumed` says.
 */
import { z } from "zod";
import { checkpointFile } from "../../checkpoint/checkpoint-file.ts";
import { ConfigFields, flagSchema, namesSchema } from "../../checkpoint/config-fields.ts";
import { LIMITS, wholeSchema } from "../../checkpoint/model-config.ts";
import { isJsonObject, type JsonObject, parseJsonObject } from "../../input/json.ts";
import type { Architecture, Attention, Experts, FeedForward, Layer, LayerRun } from "./architecture.ts";

/** What a family's class sets that its config.json need not say. */
interface Family {
  readonly attention: "grouped" | "latent";
  /** Biases of q, k and v: always, never, or as `attention_bias` says (then of the output too). */
  readonly qkvBias: "always" | "config" | "never";
  readonly qkNorm: boolean;
  readonly norm: "llama" | "gemma";
  readonly sandwichNorms: boolean;
  readonly tiedEmbeddings: boolean;
  readonly headDim?: number;
  readonly maxPositions: number;
  /** A window that the class sets when config.json does not mention one. */
  readonly window?: number;
  /** The bias that DeepSeek-V3 adds to its router. */
  readonly routerBias?: boolean;
  readonly routerInFloat32?: boolean;
  readonly sharedGate?: boolean;
}

const LLAMA: Family = {
  attention: "grouped",
  qkvBias: "config",
  qkNorm: false,
  norm: "llama",
  sandwichNorms: false,
  tiedEmbeddings: false,
  maxPositions: 2048,
};
const FAMILIES: Readonly<Record<string, Family>> = {
  llama: LLAMA,
  mistral: { ...LLAMA, qkvBias: "never", maxPositions: 131_072, window: 4096 },
  mixtral: { ...LLAMA, qkvBias: "never", maxPositions: 131_072 },
  qwen2: { ...LLAMA, qkvBias: "always", maxPositions: 32_768 },
  qwen2_moe: { ...LLAMA, qkvBias: "always", maxPositions: 32_768, sharedGate: true },
  qwen3: { ...LLAMA, qkNorm: true, headDim: 128, maxPositions: 32_768 },
  qwen3_moe: { ...LLAMA, qkNorm: true, maxPositions: 32_768 },
  gemma: { ...LLAMA, norm: "gemma", tiedEmbeddings: true, headDim: 256, maxPositions: 8192 },
  gemma2: {
    ...LLAMA,
    norm: "gemma",
    sandwichNorms: true,
    tiedEmbeddings: true,
    headDim: 256,
    maxPositions: 8192,
    window: 4096,
  },
  deepseek_v2: { ...LLAMA, attention: "latent", routerInFloat32: true },
  deepseek_v3: { ...LLAMA, attention: "latent", maxPositions: 4096, routerBias: true, routerInFloat32: true },
};
export const KNOWN_FAMILIES: readonly string[] = Object.keys(FAMILIES);

export interface ConfigReading {
  readonly architecture: Architecture;
  /** What config.json did not say and this reading took for granted; empty for known families. */
  readonly assumed: readonly string[];
}

/** @throws TidelineError checkpoint_invalid, naming file and field with the range that is allowed. */
export function parseArchitecture(text: string, file: string): ConfigReading {
  return readArchitecture(parseJsonObject(text, checkpointFile(file)), file);
}

export function readArchitecture(object: JsonObject, file: string): ConfigReading {
  const fields = new ConfigFields(languageModelOf(object), file);
  const modelType = fields.optional("model_type", z.string());
  const known = modelType !== undefined && Object.hasOwn(FAMILIES, modelType) ? FAMILIES[modelType] : undefined;
  const family = known ?? guess(fields);
  const hiddenSize = fields.whole("hidden_size", 1, LIMITS.hiddenSize);
  const layers = fields.whole("num_hidden_layers", 1, LIMITS.layers);
  const attentions = readAttention(fields, family, hiddenSize, layers);
  const feedForwards = readFeedForward(fields, family, layers);
  const flag = (name: string) => fields.optional(name, flagSchema);
  return {
    architecture: {
      family: modelType ?? "llama",
      vocabSize: fields.whole("vocab_size", 1, LIMITS.vocabSize),
      hiddenSize,
      maxPositions: wholeOr(fields, "max_position_embeddings", 1, LIMITS.maxPositions, family.maxPositions),
      runs: runsOf(
        attentions.map((attention, index) => {
          const feedForward = feedForwards[index];
          if (feedForward === undefined) throw fields.invalid("num_hidden_layers", "has layers of no known kind");
          return { attention, feedForward };
        }),
      ),
      tiedEmbeddings: flag("tie_word_embeddings") ?? family.tiedEmbeddings,
      norm: family.norm,
      sandwichNorms: family.sandwichNorms,
      scaledEmbeddings: family.norm === "gemma",
      cappedLogits: modelType === "gemma2" && fields.raw("final_logit_softcapping") !== null,
    },
    assumed:
      known === undefined
        ? [
            `model_type ${modelType === undefined ? "is missing" : `"${modelType}" is not known`}: read by its fields as a Llama-like decoder`,
          ]
        : [],
  };
}

/** A family that is not in the table, by what its fields say. */
function guess(fields: ConfigFields): Family {
  return {
    ...LLAMA,
    attention: fields.has("kv_lora_rank") ? "latent" : "grouped",
    qkNorm: fields.optional("qk_norm", flagSchema) ?? fields.optional("use_qk_norm", flagSchema) ?? false,
  };
}

function readAttention(fields: ConfigFields, family: Family, hiddenSize: number, layers: number): readonly Attention[] {
  const heads = fields.whole("num_attention_heads", 1, LIMITS.heads);
  const bias = fields.optional("attention_bias", flagSchema) ?? false;
  if (family.attention === "latent") {
    const rank = (name: string) => fields.whole(name, 1, LIMITS.hiddenSize);
    const queryRank = fields.raw("q_lora_rank");
    const latent: Attention = {
      kind: "latent",
      heads,
      queryRank: queryRank === null ? undefined : wholeOr(fields, "q_lora_rank", 1, LIMITS.hiddenSize, 1536),
      kvRank: rank("kv_lora_rank"),
      plainHeadDim: rank("qk_nope_head_dim"),
      rotatedHeadDim: rank("qk_rope_head_dim"),
      valueHeadDim: rank("v_head_dim"),
      bias,
    };
    return Array<Attention>(layers).fill(latent);
  }
  const kvHeads = wholeOr(fields, "num_key_value_heads", 1, heads, heads);
  if (heads % kvHeads !== 0) {
    throw fields.invalid("num_key_value_heads", `is ${kvHeads}: must divide num_attention_heads (${heads})`);
  }
  const stated = fields.has("head_dim") ? fields.optional("head_dim", wholeSchema(1, LIMITS.headDim)) : family.headDim;
  if (stated === undefined && hiddenSize % heads !== 0) {
    throw fields.invalid("hidden_size", `is ${hiddenSize}: must be a multiple of num_attention_heads (${heads})`);
  }
  const windows = readWindows(fields, family, layers);
  return windows.map((window) => ({
    kind: "grouped",
    heads,
    kvHeads,
    headDim: stated ?? hiddenSize / heads,
    qkvBias: family.qkvBias === "always" || (family.qkvBias === "config" && bias),
    outputBias: family.qkvBias === "config" && bias,
    qkNorm: family.qkNorm,
    window,
  }));
}

/** The sliding window of each layer: by `layer_types`, else as the family alternates. */
function readWindows(fields: ConfigFields, family: Family, layers: number): readonly (number | undefined)[] {
  const stated = fields.has("sliding_window")
    ? fields.optional("sliding_window", wholeSchema(1, LIMITS.maxPositions))
    : family.window;
  const switchedOff = fields.has("use_sliding_window") && fields.optional("use_sliding_window", flagSchema) !== true;
  const types = fields.optional("layer_types", namesSchema);
  const full = Array<undefined>(layers).fill(undefined);
  if (stated === undefined || switchedOff) return full;
  if (types !== undefined) return full.map((_, at) => (types[at] === "sliding_attention" ? stated : undefined));
  if (family.sandwichNorms) return full.map((_, at) => (at % 2 === 0 ? stated : undefined));
  const firstFull = fields.optional("max_window_layers", wholeSchema(0, LIMITS.layers)) ?? 0;
  return full.map((_, at) => (at >= firstFull ? stated : undefined));
}

function readFeedForward(fields: ConfigFields, family: Family, layers: number): readonly FeedForward[] {
  const expertsField = ["num_experts", "num_local_experts", "n_routed_experts"].find((name) => {
    const value = fields.raw(name);
    return value !== undefined && value !== null && value !== 0;
  });
  const bias = fields.optional("mlp_bias", flagSchema) ?? false;
  const gated = (): FeedForward => ({
    kind: "gated",
    intermediate: fields.whole("intermediate_size", 1, LIMITS.intermediateSize),
    bias,
  });
  if (expertsField === undefined) return Array<FeedForward>(layers).fill(gated());
  const experts = fields.whole(expertsField, 1, 65_536);
  const perExpert = fields.has("moe_intermediate_size") ? "moe_intermediate_size" : "intermediate_size";
  const intermediate = fields.whole(perExpert, 1, LIMITS.intermediateSize);
  const sharedExperts = fields.optional("n_shared_experts", wholeSchema(0, 1024)) ?? 0;
  const mixture: Experts = {
    kind: "experts",
    experts,
    active: fields.whole("num_experts_per_tok", 1, experts),
    intermediate,
    shared:
      fields.optional("shared_expert_intermediate_size", wholeSchema(0, LIMITS.intermediateSize)) ??
      sharedExperts * intermediate,
    sharedGate: family.sharedGate ?? false,
    routerBias: family.routerBias ?? false,
    routerInFloat32: family.routerInFloat32 ?? false,
  };
  const dense = fields.optional("mlp_only_layers", z.array(z.int())) ?? [];
  const firstDense = fields.optional("first_k_dense_replace", wholeSchema(0, LIMITS.layers)) ?? 0;
  const every = fields.optional("decoder_sparse_step", wholeSchema(1, LIMITS.layers)) ?? 1;
  return Array.from({ length: layers }, (_, at) =>
    at < firstDense || dense.includes(at) || (at + 1) % every !== 0 ? gated() : mixture,
  );
}

function runsOf(layers: readonly Layer[]): readonly LayerRun[] {
  const runs: { count: number; layer: Layer }[] = [];
  let before = "";
  for (const layer of layers) {
    const key = JSON.stringify(layer);
    const last = runs.at(-1);
    if (last !== undefined && key === before) last.count++;
    else runs.push({ count: 1, layer });
    before = key;
  }
  return runs;
}

/** Multimodal models keep the language model's fields in an object of their own. */
function languageModelOf(object: JsonObject): JsonObject {
  const inner = object.text_config;
  return isJsonObject(inner) && object.hidden_size === undefined ? inner : object;
}

function wholeOr(fields: ConfigFields, field: string, least: number, most: number, otherwise: number): number {
  return fields.optional(field, wholeSchema(least, most)) ?? otherwise;
}
