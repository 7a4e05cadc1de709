/**
 * Logits and log-probabilities of some rows at a time, each part under gradient checkpointing: only one part's logits are
 * ever there.
 */
import { type Graph, Node, type Tensor } from "./autograd.ts";
import { logProbabilities } from "./heads.ts";
import { drop, SINGLE } from "./operators.ts";
import type { Pass } from "./pass.ts";

/** A piece of the backward pass, and how often it is played. */
export interface BackwardSection {
  readonly count: number;
  readonly run: (graph: Graph) => void;
}

interface PartsOptions {
  readonly lossRows: number;
  readonly folded: boolean;
  readonly logits: (pass: Pass, rows: Tensor) => Tensor;
}

interface Part {
  readonly count: number;
  readonly loss: Tensor;
  /** Where the gradient of the part's rows ends up. */
  readonly source: Node;
  readonly backward: (graph: Graph) => void;
}

/** Takes `normed` over. What the backward pass has to do is added to `recorded`. */
export function lossInParts(pass: Pass, normed: Tensor, options: PartsOptions, recorded: BackwardSection[]): Tensor {
  const { graph, batch } = pass;
  const { tape } = graph;
  const rows = batch.sequences * (batch.length - 1);
  const parts = countParts(rows, options).map(({ count, rows: ofPart }): Part => {
    const source = new Node([], [], "gradients of logits", () => []);
    const elements = (normed.elements / pass.tokens) * ofPart;
    const input = { ...normed, elements, producer: normed.producer && source };
    const recorded = tape.section(count, () => checkpointedLoss(pass.ofRows(graph, ofPart), input, options));
    return { count, source, ...recorded };
  });
  const loss = tape.because("log-probabilities", () => graph.tensor(rows, SINGLE));
  for (const { count, loss: part } of parts) tape.section(count, () => drop(graph, part));
  if (graph.mode === "discard") drop(graph, normed);
  else recorded.push(...joinedBackward(graph, normed, parts));
  return loss;
}

/** Parts of `lossRows` rows, the first of which stands apart when they are folded, and a rest. */
function countParts(rows: number, { lossRows, folded }: PartsOptions) {
  const whole = Math.floor(rows / lossRows);
  const counts = folded ? [Math.min(1, whole), whole - 1] : Array<number>(whole).fill(1);
  const rest = rows % lossRows;
  return [...counts.map((count) => ({ count, rows: lossRows })), { count: Math.min(1, rest), rows: rest }].filter(
    ({ count }) => count > 0,
  );
}

function checkpointedLoss(pass: Pass, input: Tensor, { logits }: PartsOptions) {
  const { graph } = pass;
  const compute = (again: Pass) => logProbabilities(again, logits(again, input), "last use");
  const { result: loss, saves } = graph.outline(() => compute(pass), graph.mode === "keep");
  const backward = (inner: Graph) => {
    const { tape } = inner;
    const again = pass.onceMore(inner);
    const { result, nodes } = inner.collect(() => inner.recompute(saves, () => compute(again)));
    const gradient = tape.allocate(result.elements * SINGLE, "gradients of logits");
    drop(inner, result, ...again.take().copies);
    result.producer?.receive(tape, { block: gradient, view: false });
    inner.differentiate(nodes);
  };
  return { loss, backward };
}

/** In forward order, so read backward: each part hands in the gradient of its rows; those are joined, and let go. */
function joinedBackward(graph: Graph, normed: Tensor, parts: readonly Part[]): readonly BackwardSection[] {
  const { tape } = graph;
  const letGo = ({ count, source }: Part): BackwardSection => ({
    count,
    run: () => {
      if (source.gradient !== undefined) tape.release(source.gradient.block);
      source.gradient = undefined;
    },
  });
  const join: BackwardSection = {
    count: 1,
    run: () => {
      drop(graph, normed);
      const block = tape.allocate(normed.elements * normed.itemBytes, "gradients of activations");
      if (normed.producer === undefined) tape.release(block);
      else normed.producer.receive(tape, { block, view: false });
    },
  };
  return [...parts.map(letGo), join, ...parts.map(({ count, backward }) => ({ count, run: backward }))];
}
