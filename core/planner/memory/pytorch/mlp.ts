/** The gated feed-forward block. */
import type { Tensor } from "./autograd.ts";
import { fusedGate } from "./fused.ts";
import { activation, drop, multiply } from "./operators.ts";
import type { Pass } from "./pass.ts";
import { project } from "./projection.ts";
import type { MlpWeights } from "./weights.ts";

/** `down(silu(gate(x)) * up(x))`. */
export function gatedMlp(pass: Pass, x: Tensor, { gate, up, down }: MlpWeights): Tensor {
  const { graph } = pass;
  const gated = project(pass, x, gate);
  if (pass.fused) {
    const raised = project(pass, x, up);
    const product = fusedGate(graph, gated, raised);
    drop(graph, gated, raised);
    const result = project(pass, product, down);
    drop(graph, product);
    return result;
  }
  const activated = activation(graph, gated);
  drop(graph, gated);
  const raised = project(pass, x, up);
  const product = multiply(graph, activated, raised);
  drop(graph, activated, raised);
  const result = project(pass, product, down);
  drop(graph, product);
  return result;
}
