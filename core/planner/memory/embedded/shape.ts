/** The models that the embedded engine computes with: alike layers of grouped-query attention and a gated MLP. */
import { ARCHITECTURES } from "../../../checkpoint/config.ts";
import { TidelineError } from "../../../errors.ts";
import type { Architecture } from "../../models/architecture.ts";

export interface EmbeddedShape {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
  /** Of all query heads, of all key heads. */
  readonly qSize: number;
  readonly kvSize: number;
  readonly maxPositions: number;
  readonly tiedEmbeddings: boolean;
  readonly qkvBias: boolean;
  readonly outputBias: boolean;
  readonly mlpBias: boolean;
  readonly qkNorm: boolean;
}

const COMPUTED: readonly string[] = Object.values(ARCHITECTURES);

/**
 * @param field Of the plan, where the model is named.
 * @throws TidelineError `plan_invalid` for a model that the embedded engine does not know.
 */
export function embeddedShape(architecture: Architecture, field: string): EmbeddedShape {
  const [run, ...others] = architecture.runs;
  const attention = run?.layer.attention;
  const mlp = run?.layer.feedForward;
  const isComputed = COMPUTED.includes(architecture.family) && others.length === 0;
  const window = attention?.kind === "grouped" ? attention.window : undefined;
  const isPlain = attention?.kind === "grouped" && window === undefined && mlp?.kind === "gated";
  if (run === undefined || !isComputed || !isPlain) {
    const given = `${architecture.family}${window === undefined ? "" : ` with a window of ${window} tokens`}`;
    throw new TidelineError({
      code: "plan_invalid",
      field,
      message: `${field}: the embedded engine computes with Llama, Qwen2 and Qwen3 models, and this is ${given}`,
      hint: "choose another model, or a GPU of the catalogue",
    });
  }
  const { heads, kvHeads, headDim, qkvBias, outputBias, qkNorm } = attention;
  return {
    vocabSize: architecture.vocabSize,
    hiddenSize: architecture.hiddenSize,
    intermediateSize: mlp.intermediate,
    layers: run.count,
    heads,
    headDim,
    qSize: heads * headDim,
    kvSize: kvHeads * headDim,
    maxPositions: architecture.maxPositions,
    tiedEmbeddings: architecture.tiedEmbeddings,
    qkvBias,
    outputBias,
    mlpBias: mlp.bias,
    qkNorm,
  };
}
