/**
 * PyTorch's operators as far as memory goes: what each asks for, what it keeps, and the same for its derivative. The order
 * within an operator is PyTorch's, as its allocator recorded it on an H100 (docs/memory-model.md).
 *
 * An operator hands its result to the caller, who lets it go (`drop`) where Python's local variable would end.
 */
import { type Gradient, type Graph, Parameter, type Tensor } from "./autograd.ts";
import { amountOf, type Count, isSame, larger, rowsOf, times, type Units } from "./count.ts";
import type { Block } from "./tape.ts";

export const HALF = 2;
export const SINGLE = 4;

export function drop(graph: Graph, ...tensors: readonly (Tensor | undefined)[]): void {
  for (const tensor of tensors) if (tensor !== undefined) graph.tape.release(tensor.block);
}

/** Another name for the same block. */
export function alias(graph: Graph, tensor: Tensor): Tensor {
  graph.tape.retain(tensor.block);
  return tensor;
}

function fresh(graph: Graph, elements: Count, itemBytes: number): Gradient {
  return { block: graph.tape.allocate(times(elements, itemBytes)), view: false };
}

export function passOn(graph: Graph, gradient: Gradient): Gradient {
  return { block: graph.tape.retain(gradient.block), view: gradient.view };
}

/** `x.to(dtype)`; the same tensor when it has that type already. */
export function cast(graph: Graph, x: Tensor, itemBytes: number): Tensor {
  if (x.itemBytes === itemBytes) return alias(graph, x);
  const result = graph.tensor(x.elements, itemBytes);
  return graph.record(result, [x], [], () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** A weight in another type. */
export function widened(graph: Graph, weight: Parameter, itemBytes: number): Tensor {
  const result = graph.tensor(weight.elements, itemBytes);
  return graph.record(result, [weight], [], () => [
    { block: graph.tape.allocate(weight.bytes, "gradients"), view: false },
  ]);
}

/** Elementwise, with a derivative that needs neither input nor result: negation, a product with a constant. */
export function mapped(graph: Graph, x: Tensor): Tensor {
  const result = graph.tensor(x.elements, x.itemBytes);
  return graph.record(result, [x], [], () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** Elementwise, with a derivative in terms of the result: tanh, softmax. */
export function mappedKeepingResult(graph: Graph, x: Tensor, itemBytes = x.itemBytes): Tensor {
  const result = graph.tensor(x.elements, itemBytes);
  const saved = graph.save(result);
  return graph.record(result, [x], saved, () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** Elementwise, with a derivative in terms of the input: silu, gelu. */
export function activation(graph: Graph, x: Tensor): Tensor {
  const saved = graph.save(x);
  const result = graph.tensor(x.elements, x.itemBytes);
  return graph.record(result, [x], saved, () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** `x + y`; differentiated, both get the same gradient. */
export function add(graph: Graph, x: Tensor, y: Tensor): Tensor {
  const itemBytes = Math.max(x.itemBytes, y.itemBytes);
  const result = graph.tensor(larger(x.elements, y.elements), itemBytes);
  return graph.record(result, [x, y], [], (gradient) =>
    [x, y].map((input) =>
      input.itemBytes === itemBytes ? passOn(graph, gradient) : fresh(graph, input.elements, input.itemBytes),
    ),
  );
}

/** `x + constant`: the gradient is that of the sum. */
export function addConstant(graph: Graph, x: Tensor): Tensor {
  const result = graph.tensor(x.elements, x.itemBytes);
  return graph.record(result, [x], [], (gradient) => [passOn(graph, gradient)]);
}

/** `x * y`, elementwise. */
export function multiply(graph: Graph, x: Tensor, y: Tensor): Tensor {
  const saved = graph.save(graph.follows(y) ? x : undefined, graph.follows(x) ? y : undefined);
  const result = graph.tensor(x.elements, Math.max(x.itemBytes, y.itemBytes));
  return graph.record(result, [x, y], saved, () =>
    [x, y].map((input) => (graph.follows(input) ? fresh(graph, input.elements, input.itemBytes) : undefined)),
  );
}

/** `x * y` where `y` has one number for each row of `x`. */
export function multiplyRows(graph: Graph, x: Tensor, y: Tensor): Tensor {
  const saved = graph.save(x, y);
  const result = graph.tensor(x.elements, x.itemBytes);
  return graph.record(result, [x, y], saved, () => {
    const products = graph.tape.allocate(times(x.elements, x.itemBytes));
    const first = fresh(graph, x.elements, x.itemBytes);
    const second = fresh(graph, y.elements, y.itemBytes);
    graph.tape.release(products);
    return [first, second];
  });
}

/** `x ** 2`. */
export function square(graph: Graph, x: Tensor): Tensor {
  const saved = graph.save(x);
  const result = graph.tensor(x.elements, x.itemBytes);
  return graph.record(result, [x], saved, () => {
    const power = graph.tape.allocate(times(x.elements, x.itemBytes));
    const scaled = graph.tape.allocate(times(x.elements, x.itemBytes));
    const gradient = fresh(graph, x.elements, x.itemBytes);
    graph.tape.release(scaled);
    graph.tape.release(power);
    return [gradient];
  });
}

/** The mean of every row. */
export function meanOfRows(graph: Graph, x: Tensor, rows: Count): Tensor {
  const result = graph.tensor(rows, x.itemBytes);
  return graph.record(result, [x], [], () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** `1 / sqrt(x)`: keeps its result. */
export function reciprocalRoot(graph: Graph, x: Tensor): Tensor {
  const result = graph.tensor(x.elements, x.itemBytes);
  const saved = graph.save(result);
  return graph.record(result, [x], saved, () => {
    const cube = graph.tape.allocate(times(x.elements, x.itemBytes));
    const scaled = graph.tape.allocate(times(x.elements, x.itemBytes));
    const gradient = fresh(graph, x.elements, x.itemBytes);
    graph.tape.release(scaled);
    graph.tape.release(cube);
    return [gradient];
  });
}

/** Rows for each thread from which thread blocks share a column: seen with 64, not with 63. */
const SHARED_FROM = 64;

/**
 * What a sum over `rows` rows of `columns` takes while thread blocks share it (ATen/native/cuda/Reduce.cuh): each block of
 * 32 × 16 threads, 4 columns a thread, keeps partial sums in float32. The number of blocks that share a column grows with
 * the rows until the card is full: `multiprocessors` times four.
 */
export function reductionBytes(rows: number, columns: number, multiprocessors: number): number {
  const [blockRows, blockColumns, least, most] = [16, 128, 16, 256];
  const perThread = Math.ceil(rows / blockRows);
  if (perThread < SHARED_FROM) return 0;
  const full = Math.ceil((multiprocessors * 4) / Math.ceil(columns / blockColumns));
  const sharing = Math.max(Math.min(full, Math.ceil(perThread / least)), Math.ceil(perThread / most));
  return sharing <= 1 ? 0 : SINGLE * columns * sharing * blockRows * 32;
}

/** Sums a gradient over all rows, for a weight that every row was multiplied with. */
function sumRows(graph: Graph, weight: Parameter | Tensor, rows: Count): Gradient {
  const sum: Gradient = {
    block: graph.tape.allocate(times(weight.elements, weight.itemBytes), "gradients"),
    view: false,
  };
  const columns = weight.elements.each;
  const shared = (units: Units) => reductionBytes(amountOf(rows, units), columns, units.multiprocessor);
  const partial = graph.tape.allocate(shared, "reduction workspace");
  const counterBytes = SINGLE * Math.ceil(columns / 128);
  const counters = graph.tape.allocate((units) => (shared(units) > 0 ? counterBytes : 0), "reduction workspace");
  graph.tape.release(counters);
  graph.tape.release(partial);
  return sum;
}

/** `weight * x`, one weight for each column. */
export function scaleColumns(graph: Graph, x: Tensor, weight: Parameter | Tensor): Tensor {
  const rows = rowsOf(x.elements, weight.elements);
  const trained = graph.follows(weight);
  const saved = graph.save(
    trained ? x : undefined,
    graph.follows(x) && !(weight instanceof Parameter) ? weight : undefined,
  );
  if (weight instanceof Parameter && graph.follows(x)) graph.saveParameter();
  const result = graph.tensor(x.elements, Math.max(x.itemBytes, weight.itemBytes));
  return graph.record(result, [x, weight], saved, () => {
    // In the type of the product first, which is wider than x where the weight is.
    const wide = graph.follows(x) ? fresh(graph, x.elements, result.itemBytes) : undefined;
    const sum = trained ? summedProducts() : undefined;
    if (wide === undefined || result.itemBytes === x.itemBytes) return [wide, sum];
    const narrow = fresh(graph, x.elements, x.itemBytes);
    graph.tape.release(wide.block);
    return [narrow, sum];
  });

  function summedProducts(): Gradient {
    const products = graph.tape.allocate(times(result.elements, result.itemBytes));
    const sum = sumRows(graph, weight, rows);
    graph.tape.release(products);
    return sum;
  }
}

/** The same values in another order of memory: what a transposed gradient costs before a matrix product. */
export function transposed(graph: Graph, x: Tensor): Tensor {
  const result = alias(graph, x);
  return graph.record(result, [x], [], () => [fresh(graph, x.elements, x.itemBytes)]);
}

/** Joins or repeats along an axis: a copy going forward; going backward, a copy only where values were repeated. */
export function copied(graph: Graph, x: Tensor, elements = x.elements, itemBytes = x.itemBytes): Tensor {
  const result = graph.tensor(elements, itemBytes);
  return graph.record(result, [x], [], (gradient) =>
    isSame(elements, x.elements) && itemBytes === x.itemBytes
      ? [passOn(graph, gradient)]
      : [fresh(graph, x.elements, x.itemBytes)],
  );
}

/**
 * The rotation of queries or keys: `x * cos + rotate_half(x) * sin`, in the wider type of the two. Keeps the tables of cosines
 * and sines, and nothing of x.
 */
export function rotated(graph: Graph, x: Tensor, itemBytes: number, tables: readonly Tensor[]): Tensor {
  const { tape } = graph;
  const saved = graph.save(...tables);
  const ofX = times(x.elements, x.itemBytes);
  const ofHalf = times(ofX, 1 / 2);
  const ofResult = times(x.elements, itemBytes);
  const cosine = tape.allocate(ofResult);
  const negated = tape.allocate(ofHalf);
  const half = tape.allocate(ofX);
  tape.release(negated);
  const sine = tape.allocate(ofResult);
  tape.release(half);
  const result = graph.tensor(x.elements, itemBytes);
  tape.release(cosine);
  tape.release(sine);
  return graph.record(result, [x], saved, () => {
    /** A product with cos or sin, brought back to the type of x. */
    const product = () => {
      const wide = tape.allocate(ofResult);
      if (itemBytes === x.itemBytes) return wide;
      const narrow = tape.allocate(ofX);
      tape.release(wide);
      return narrow;
    };
    const ofSine = product();
    const second = tape.allocate(ofHalf);
    const sum = tape.allocate(ofX);
    tape.release(second);
    const first = tape.allocate(ofX);
    tape.release(ofSine);
    tape.release(first);
    const ofCosine = product();
    tape.release(ofCosine);
    return [{ block: sum, view: false }];
  });
}

/**
 * `x @ weight.T + bias` with so many numbers in the result, where `weight` is what is multiplied with: the parameter, or a
 * copy of it in fewer bits. The same for a product per expert, whose rows are shared out among the experts' weights.
 */
export function linear(
  graph: Graph,
  x: Tensor,
  weight: Parameter | Tensor,
  elements: Count,
  bias?: Parameter | Tensor,
): Tensor {
  const trained = graph.follows(weight);
  const saved = graph.save(
    trained ? x : undefined,
    graph.follows(x) && !(weight instanceof Parameter) ? weight : undefined,
  );
  // A parameter is kept too, without a block of its own on the tape; it counts when PyTorch counts.
  if (weight instanceof Parameter && graph.follows(x)) graph.saveParameter();
  const result = graph.tensor(elements, x.itemBytes);
  graph.multiplies(graph.thread, bias !== undefined);
  return graph.record(result, [x, weight, ...(bias === undefined ? [] : [bias])], saved, () => {
    const cause = weight instanceof Parameter ? "gradients" : graph.tape.cause;
    const ofWeight = (): Gradient | undefined =>
      trained ? { block: graph.tape.allocate(times(weight.elements, weight.itemBytes), cause), view: true } : undefined;
    const ofInput = (): Gradient | undefined =>
      graph.follows(x) ? { block: graph.tape.allocate(times(x.elements, x.itemBytes)), view: true } : undefined;
    // The first product of a thread asks for its result, then for the workspace.
    const inOrder = (one: () => Gradient | undefined, other: () => Gradient | undefined) => {
      const first = one();
      if (first !== undefined) graph.multiplies("backward", false);
      const second = other();
      if (second !== undefined) graph.multiplies("backward", false);
      return [first, second] as const;
    };
    if (bias === undefined) {
      const [second, first] = inOrder(ofWeight, ofInput);
      return [first, second];
    }
    const [first, second] = inOrder(ofInput, ofWeight);
    return [first, second, graph.follows(bias) ? sumRows(graph, bias, rowsOf(elements, bias.elements)) : undefined];
  });
}

/** Holds a block for the length of `work`. */
export function during<T>(graph: Graph, bytes: number, work: (block: Block) => T): T {
  const block = graph.tape.allocate(bytes);
  const result = work(block);
  graph.tape.release(block);
  return result;
}
