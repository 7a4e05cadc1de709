/** Allocations of small models, recorded on an H100 (tests/fixtures/measure_memory.py). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { JsonObject } from "../../../../core/input/json.ts";
import type { StepOptions } from "../../../../core/planner/memory/pytorch/step.ts";
import { readArchitecture } from "../../../../core/planner/models/from-config.ts";

export interface Recording {
  readonly model: string;
  readonly batch: number;
  readonly sequence: number;
  readonly workload: "score" | "train";
  readonly precision: "bf16" | "fp32-master-autocast-bf16";
  readonly variant: "plain" | "padded" | "packed" | "chunked" | "value";
  readonly gradient_checkpointing: boolean;
  readonly attention: "sdpa" | "eager";
  readonly optimizer: "adamw" | "adamw-foreach" | "sgd";
  readonly lora: number;
  /** Bytes of an allocation; -1 - n: the n-th allocation is freed. Of one step, from the model's inputs on. */
  readonly events: readonly number[];
}

export const RECORDINGS: readonly Recording[] = JSON.parse(
  gunzipSync(readFileSync(join(import.meta.dirname, "../../../fixtures/memory/h100-allocations.json.gz"))).toString(),
);

const base = (family: string, kvHeads: number, more: JsonObject = {}): JsonObject => ({
  model_type: family,
  hidden_size: 640,
  intermediate_size: 1792,
  num_hidden_layers: 3,
  num_attention_heads: 10,
  num_key_value_heads: kvHeads,
  vocab_size: 24_000,
  ...more,
});
const CONFIGS: Readonly<Record<string, JsonObject>> = {
  "small-llama": base("llama", 2),
  "small-llama-mha-tied": base("llama", 10, { tie_word_embeddings: true }),
  "small-qwen2": base("qwen2", 2),
  "small-qwen3": base("qwen3", 2, { head_dim: 128 }),
  "small-mistral": base("mistral", 2),
  "small-window": base("mistral", 2, { sliding_window: 256 }),
  "small-gemma2": base("gemma2", 2, { head_dim: 128 }),
  "small-mixtral": base("mixtral", 2, { num_local_experts: 4, num_experts_per_tok: 2 }),
  "small-qwen3-moe": base("qwen3_moe", 2, {
    head_dim: 128,
    num_experts: 16,
    num_experts_per_tok: 4,
    moe_intermediate_size: 384,
  }),
  "small-deepseek": base("deepseek_v2", 10, {
    moe_intermediate_size: 384,
    n_routed_experts: 16,
    num_experts_per_tok: 4,
    n_shared_experts: 2,
    first_k_dense_replace: 1,
    kv_lora_rank: 192,
    q_lora_rank: null,
    qk_nope_head_dim: 64,
    qk_rope_head_dim: 32,
    v_head_dim: 64,
  }),
};

export function architectureOf({ model }: Recording) {
  return readArchitecture(CONFIGS[model] ?? {}, model).architecture;
}

export function optionsOf(recording: Recording, folded: boolean): StepOptions {
  const { batch, sequence, workload, precision, variant, lora, optimizer } = recording;
  const master = precision !== "bf16";
  return {
    batch: {
      sequences: batch,
      length: sequence,
      masked: variant === "padded" || variant === "packed" || recording.model === "small-window",
    },
    storage: {
      itemBytes: master ? 4 : 2,
      quantisedBytes: undefined,
      training: workload === "score" ? { kind: "none" } : lora > 0 ? { kind: "adapters", rank: lora } : { kind: "all" },
      tensorParallel: 1,
    },
    autocast: master,
    checkpointing: recording.gradient_checkpointing,
    attention: recording.attention,
    keyValueCache: false,
    head: variant === "value" ? "value" : "language",
    lossRows: variant === "chunked" ? 512 : undefined,
    optimizer:
      optimizer === "sgd"
        ? { bytesPerWeight: () => [], counts: false }
        : { bytesPerWeight: (itemBytes) => [itemBytes, itemBytes], counts: true },
    kernels: { multiprocessors: 132, cublasBytes: 2 ** 25 },
    folded,
    warm: [],
  };
}

export function describeRecording(recording: Recording): string {
  const { model, batch, sequence, workload, precision, variant, gradient_checkpointing: checkpointing } = recording;
  return [
    `${model} ${workload} ${batch}×${sequence}`,
    ...(precision === "bf16" ? [] : ["fp32 master"]),
    ...(checkpointing ? ["checkpointing"] : []),
    ...(variant === "plain" ? [] : [variant]),
    ...(recording.attention === "sdpa" ? [] : [recording.attention]),
    ...(recording.optimizer === "adamw" ? [] : [recording.optimizer]),
    ...(recording.lora > 0 ? ["LoRA"] : []),
  ].join(", ");
}
