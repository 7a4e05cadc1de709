/**
 * Logits and log-probabilities of some rows at a time, each part under gradient checkpointing: only one part's logits are
 * ever there.
 */
import { type Graph, Node, type Tensor } from "./autograd.ts";
import { type Count, columnsOf, fixed, LATER_PARTS, ONCE, REST, TARGETS, times } from "./count.ts";
import { logProbabilities } from "./heads.ts";
import { drop, SINGLE } from "./operators.ts";
import type { Pass } from "./pass.ts";

/** A piece of the backward pass, and how often it is played. */
export interface BackwardSection {
  readonly count: Count;
  readonly run: (graph: Graph) => void;
}

interface PartsOptions {
  readonly lossRows: number;
  readonly folded: boolean;
  readonly logits: (pass: Pass, rows: Tensor) => Tensor;
}

interface Part {
  readonly count: Count;
  readonly loss: Tensor;
  /** Where the gradient of the part's rows ends up. */
  readonly source: Node;
  readonly backward: (graph: Graph) => void;
}

/** Takes `normed` over. What the backward pass has to do is added to `recorded`. */
export function lossInParts(pass: Pass, normed: Tensor, options: PartsOptions, recorded: BackwardSection[]): Tensor {
  const { graph, batch } = pass;
  const { tape } = graph;
  const targets = batch.sequences * (batch.length - 1);
  const parts = partsOf(targets, options).map(({ count, rows: ofPart }): Part => {
    const source = new Node([], [], "gradients of logits", () => []);
    const elements = times(ofPart, columnsOf(normed.elements, pass.tokens));
    const input = { ...normed, elements, producer: normed.producer && source };
    const recorded = tape.section(count, () => checkpointedLoss(pass.ofRows(graph, ofPart), input, options));
    return { count, source, ...recorded };
  });
  const loss = tape.because("log-probabilities", () => graph.tensor(TARGETS, SINGLE));
  for (const { count, loss: part } of parts) tape.section(count, () => drop(graph, part));
  if (graph.mode === "discard") drop(graph, normed);
  else recorded.push(...joinedBackward(graph, normed, parts));
  return loss;
}

/**
 * Parts of `lossRows` rows, and the rest. When they are folded, the first and the last stand apart: forward and backward, these
 * find no workspace, copy or gradient of a part before them, and leave one.
 */
function partsOf(targets: number, { lossRows, folded }: PartsOptions) {
  const whole = Math.ceil(targets / lossRows) - 1;
  const counts = folded
    ? [...(whole > 0 ? [ONCE] : []), ...(whole > 1 ? [LATER_PARTS] : [])]
    : Array<Count>(whole).fill(ONCE);
  const parts = counts.map((count) => ({ count, rows: fixed(lossRows) }));
  return [...parts, { count: ONCE, rows: REST }];
}

function checkpointedLoss(pass: Pass, input: Tensor, { logits }: PartsOptions) {
  const { graph } = pass;
  const compute = (again: Pass) => logProbabilities(again, logits(again, input), "last use");
  const { result: loss, saves } = graph.outline(() => compute(pass), graph.mode === "keep");
  const backward = (inner: Graph) => {
    const { tape } = inner;
    const again = pass.onceMore(inner);
    const { result, nodes } = inner.collect(() => inner.recompute(saves, () => compute(again)));
    const gradient = tape.allocate(times(result.elements, SINGLE), "gradients of logits");
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
    count: ONCE,
    run: () => {
      drop(graph, normed);
      const block = tape.allocate(times(normed.elements, normed.itemBytes), "gradients of activations");
      if (normed.producer === undefined) tape.release(block);
      else normed.producer.receive(tape, { block, view: false });
    },
  };
  return [...parts.map(letGo), join, ...parts.map(({ count, backward }) => ({ count, run: backward }))];
}
