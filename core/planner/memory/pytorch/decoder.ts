/**
 * A decoder layer as transformers 5 computes it, operator by operator, each local variable let go where Python would.
 * Read beside modeling_llama.py, modeling_qwen2.py, modeling_qwen3.py, modeling_gemma2.py and integrations/moe.py.
 */
import { attend } from "./attention.ts";
import type { Parameter, Tensor } from "./autograd.ts";
import { mixtureOfExperts } from "./experts.ts";
import { gatedMlp } from "./mlp.ts";
import { rmsNorm } from "./norm.ts";
import { add, drop } from "./operators.ts";
import type { Pass } from "./pass.ts";
import type { LayerWeights } from "./weights.ts";

/** The next hidden state. `hidden` stays with the caller. */
export function decoderLayer(pass: Pass, hidden: Tensor, weights: LayerWeights): Tensor {
  const { graph } = pass;
  const { tape } = graph;
  const [afterAttention, afterFeedForward] = weights.norms.after;
  const normed = (x: Tensor, weight: Parameter) => tape.because("normalisation", () => rmsNorm(pass, x, weight));

  const attentionInput = normed(hidden, weights.norms.input);
  let attended = tape.because("attention", () => attend(pass, attentionInput, weights));
  drop(graph, attentionInput);
  if (afterAttention !== undefined) attended = replaced(pass, attended, normed(attended, afterAttention));
  const middle = tape.because("hidden states between layers", () => add(graph, hidden, attended));
  drop(graph, attended);

  const feedForwardInput = normed(middle, weights.norms.middle);
  let fed = tape.because(weights.feedForward.kind === "experts" ? "experts" : "MLP", () =>
    weights.feedForward.kind === "experts"
      ? mixtureOfExperts(pass, feedForwardInput, weights)
      : gatedMlp(pass, feedForwardInput, weights.feedForward),
  );
  drop(graph, feedForwardInput);
  if (afterFeedForward !== undefined) fed = replaced(pass, fed, normed(fed, afterFeedForward));
  const result = tape.because("hidden states between layers", () => add(graph, middle, fed));
  drop(graph, fed, middle);
  return result;
}

/** Python's `x = f(x)`. */
function replaced({ graph }: Pass, before: Tensor, after: Tensor): Tensor {
  drop(graph, before);
  return after;
}
