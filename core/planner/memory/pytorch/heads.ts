/** What comes after the output projection: log-probabilities of the next tokens from logits over the vocabulary. */
import type { Tensor } from "./autograd.ts";
import { columnsOf, TARGETS, times } from "./count.ts";
import { alias, drop, mapped, mappedKeepingResult, SINGLE } from "./operators.ts";
import type { Pass } from "./pass.ts";

/** Gemma's cap on logits: `cap * tanh(logits / cap)`. */
export function capped({ graph }: Pass, logits: Tensor): Tensor {
  const scaled = mapped(graph, logits);
  drop(graph, logits);
  const bent = mappedKeepingResult(graph, scaled);
  drop(graph, scaled);
  const result = mapped(graph, bent);
  drop(graph, bent);
  return result;
}

/**
 * `gather(log_softmax(logits[:, :-1].float()), ids[:, 1:])`: a copy in float32, and another for the result. The caller keeps
 * the logits, or gives them up.
 */
export function logProbabilities(pass: Pass, logits: Tensor, callers: "held" | "last use"): Tensor {
  const { graph, batch } = pass;
  const { tape } = graph;
  // Rows of the last position have no next token; a part of the rows (`lossRows`) comes without them.
  const rows = pass.rows ?? TARGETS;
  const vocabulary = columnsOf(logits.elements, pass.tokens);
  const numbers = times(rows, vocabulary);
  // `[:, :-1]` is a view; its gradient goes into a tensor that has the last position too.
  const gradients = { cause: "gradients of logits" } as const;
  const sliced = graph.record(
    { ...alias(graph, logits), elements: numbers },
    [logits],
    [],
    () => [{ block: tape.allocate(times(logits.elements, logits.itemBytes)), view: false }],
    gradients,
  );
  const float = logits.itemBytes === SINGLE ? alias(graph, sliced) : widened();
  drop(graph, sliced);
  if (callers === "last use") drop(graph, logits);
  // The kernel wants rows without gaps, which a slice of several sequences has.
  const gaps = float.block === logits.block && pass.rows === undefined && batch.sequences > 1;
  const packed = gaps ? tape.because("logits", () => graph.tensor(numbers, SINGLE)) : undefined;
  const result = tape.because("log-probabilities", () => graph.tensor(numbers, SINGLE));
  drop(graph, packed);
  const logs = graph.record(
    result,
    [float],
    graph.save(result),
    () => [{ block: tape.allocate(times(numbers, SINGLE)), view: false }],
    gradients,
  );
  drop(graph, float);
  const picked = tape.because("log-probabilities", () => graph.tensor(rows, SINGLE));
  const gathered = graph.record(
    picked,
    [logs],
    [],
    () => [{ block: tape.allocate(times(numbers, SINGLE)), view: false }],
    gradients,
  );
  drop(graph, logs);
  return gathered;

  function widened(): Tensor {
    const wide = tape.because("logits", () => graph.tensor(numbers, SINGLE));
    return graph.record(
      wide,
      [sliced],
      [],
      () => [{ block: tape.allocate(times(numbers, logits.itemBytes)), view: false }],
      gradients,
    );
  }
}
