/**
 * Writes a config.json that both transformers generations open: parseConfig (config.ts) the other way round. For
 * checkpoints that are made here; those that are saved keep the config.json they came with.
 */
import { assertNever } from "../errors.ts";
import type { JsonObject } from "../input/json.ts";
import { ARCHITECTURES } from "./config.ts";
import type { ModelConfig, ModelFamily, RopeConfig } from "./model-config.ts";

/**
 * The fields of config.json, to be added to and turned into text.
 * @param config As parseConfig can return it: with no `frequencyDtype`, which a file cannot say.
 */
export function formatConfig(config: ModelConfig): JsonObject {
  const { family, rope, eosTokenIds, bosTokenId } = config;
  const scaling = formatScaling(rope);
  return {
    architectures: [architectureOf(family)],
    model_type: family,
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.kvHeads,
    head_dim: config.headDim,
    max_position_embeddings: config.maxPositions,
    rms_norm_eps: config.rmsNormEps,
    tie_word_embeddings: config.tiedEmbeddings,
    // Qwen2's biases are in its code, not in its configuration.
    ...(family !== "qwen2" && { attention_bias: config.qkvBias }),
    ...(family === "llama" && { mlp_bias: config.mlpBias }),
    hidden_act: "silu",
    bos_token_id: bosTokenId ?? null,
    eos_token_id: eosTokenIds.length > 1 ? eosTokenIds : (eosTokenIds[0] ?? null),
    // transformers 4, then 5.
    rope_theta: rope.theta,
    ...(rope.type !== "default" && { rope_scaling: { rope_type: rope.type, ...scaling } }),
    rope_parameters: { rope_type: rope.type, rope_theta: rope.theta, ...scaling },
  };
}

function formatScaling(rope: RopeConfig): JsonObject {
  switch (rope.type) {
    case "default":
      return {};
    case "linear":
      return { factor: rope.factor };
    case "llama3":
      return {
        factor: rope.factor,
        low_freq_factor: rope.lowFreqFactor,
        high_freq_factor: rope.highFreqFactor,
        original_max_position_embeddings: rope.originalMaxPositions,
      };
    default:
      return assertNever(rope);
  }
}

function architectureOf(family: ModelFamily): string | undefined {
  return Object.keys(ARCHITECTURES).find((name) => ARCHITECTURES[name] === family);
}
