/** Root mean square normalisation, as the families write it. */
import type { Parameter, Tensor } from "./autograd.ts";
import { rowsOf } from "./count.ts";
import { fusedNorm } from "./fused.ts";
import {
  addConstant,
  cast,
  drop,
  meanOfRows,
  multiplyRows,
  reciprocalRoot,
  SINGLE,
  scaleColumns,
  square,
  widened,
} from "./operators.ts";
import type { Pass } from "./pass.ts";

/** Root mean square normalisation in float32. */
export function rmsNorm(pass: Pass, x: Tensor, weight: Parameter): Tensor {
  return pass.norm === "gemma" ? gemmaNorm(pass, x, weight) : llamaNorm(pass, x, weight);
}

/** Scaled after going back to the type of x. */
export function llamaNorm(pass: Pass, x: Tensor, weight: Parameter): Tensor {
  const { graph } = pass;
  if (pass.fused) return fusedNorm(graph, x, weight);
  const rows = rowsOf(x.elements, weight.elements);
  const wide = cast(graph, x, SINGLE);
  const squares = square(graph, wide);
  const variance = meanOfRows(graph, squares, rows);
  drop(graph, squares);
  const shifted = addConstant(graph, variance);
  const root = reciprocalRoot(graph, shifted);
  drop(graph, shifted);
  const normed = multiplyRows(graph, wide, root);
  drop(graph, root, wide);
  const narrow = cast(graph, normed, x.itemBytes);
  const result = scaleColumns(graph, narrow, weight);
  drop(graph, narrow, normed, variance);
  return result;
}

/** Scaled by `1 + weight` in float32. */
function gemmaNorm(pass: Pass, x: Tensor, weight: Parameter): Tensor {
  const { graph } = pass;
  if (pass.fused) return fusedNorm(graph, x, weight);
  const rows = rowsOf(x.elements, weight.elements);
  const wide = cast(graph, x, SINGLE);
  const squares = square(graph, wide);
  const mean = meanOfRows(graph, squares, rows);
  drop(graph, squares);
  const shifted = addConstant(graph, mean);
  drop(graph, mean);
  const root = reciprocalRoot(graph, shifted);
  drop(graph, shifted);
  const normed = multiplyRows(graph, wide, root);
  drop(graph, root, wide);
  const factor = onePlus(pass, weight);
  const scaled = scaleColumns(graph, normed, factor);
  drop(graph, factor, normed);
  const result = cast(graph, scaled, x.itemBytes);
  drop(graph, scaled);
  return result;
}

/** `1.0 + weight.float()` */
function onePlus({ graph }: Pass, weight: Parameter): Tensor {
  const wide = widened(graph, weight, SINGLE);
  const result = addConstant(graph, wide);
  drop(graph, wide);
  return result;
}
