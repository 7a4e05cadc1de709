/**
 * What a role's passes take on PyTorch at their peaks, from the tape of memory/pytorch: the one place where the planner
 * plays it. A tape is recorded once for all batches and cards that the same operators compute in the same order, and read for each
 * of them; answers are kept for as long as the model's shape is.
 */
import type { Architecture, Head } from "../../models/architecture.ts";
import type { Term } from "../../provenance.ts";
import { reasonOf } from "../estimate/estimate.ts";
import type { PassMemory } from "../footprint.ts";
import { unitsOf } from "../pytorch/count.ts";
import { accumulateTape, type StepOptions, scoreTape } from "../pytorch/step.ts";
import type { Cause, Stage, Tape } from "../pytorch/tape.ts";

export interface PassQuestion {
  readonly kind: "score" | "train";
  readonly head: Head;
  readonly sequences: number;
  readonly length: number;
  readonly masked: boolean;
  readonly attention: StepOptions["attention"];
  readonly autocast: boolean;
  readonly checkpointing: boolean;
  readonly itemBytes: number;
  readonly quantisedBytes: number | undefined;
  /** Of adapters; undefined: none. */
  readonly loraRank: number | undefined;
  readonly tensorParallel: number;
  /** Rows whose logits are computed at a time; undefined: all. */
  readonly lossRows: number | undefined;
  readonly multiprocessors: number;
  readonly cublasBytes: number;
}

export interface PassAnswer extends PassMemory {
  readonly weightsBytes: number;
  readonly adapterBytes: number;
  /** 0 of a pass that scores. */
  readonly gradientBytes: number;
}

/** Of what can be asked: what decides which operators run in which order, and what only how much they ask for. */
const DECIDES: Readonly<Record<keyof PassQuestion, "order" | "sizes">> = {
  kind: "order",
  head: "order",
  sequences: "sizes",
  length: "sizes",
  masked: "order",
  attention: "order",
  autocast: "order",
  checkpointing: "order",
  itemBytes: "order",
  quantisedBytes: "order",
  loraRank: "order",
  tensorParallel: "order",
  lossRows: "order",
  multiprocessors: "sizes",
  cublasBytes: "sizes",
};
const FIELDS = Object.keys(DECIDES) as readonly (keyof PassQuestion)[];
const ORDER_FIELDS = FIELDS.filter((field) => DECIDES[field] === "order");

const answers = new WeakMap<Architecture, Map<string, PassAnswer>>();
/** A slider visits many micro-batches, a session few models. */
const KEPT = 4096;

export function passOf(architecture: Architecture, question: PassQuestion): PassAnswer {
  let known = answers.get(architecture);
  if (known === undefined) {
    known = new Map();
    answers.set(architecture, known);
  }
  const key = keyOf(question, FIELDS);
  const answer = known.get(key);
  if (answer !== undefined) return answer;
  if (known.size >= KEPT) known.clear();
  const found = answerTo(architecture, question);
  known.set(key, found);
  return found;
}

function keyOf(question: PassQuestion, fields: readonly (keyof PassQuestion)[]): string {
  let key = "";
  for (const field of fields) key += `${question[field]},`;
  return key;
}

function answerTo(architecture: Architecture, question: PassQuestion): PassAnswer {
  const stages = tapeOf(architecture, question).stages({}, unitsOf(question, question));
  const kept = stages.find(({ name }) => name === (question.kind === "train" ? "gradients" : "weights"))?.end();
  const highest = stages.reduce<Stage | undefined>(
    (most, stage) => (most === undefined || stage.peakBytes > most.peakBytes ? stage : most),
    undefined,
  );
  const weights = (cause: Cause) => kept?.get(cause) ?? 0;
  const extra = [...(highest?.peak() ?? [])].map(([cause, bytes]) => [cause, bytes - weights(cause)] as const);
  return {
    weightsBytes: weights("weights"),
    adapterBytes: weights("adapter weights"),
    gradientBytes: weights("gradients"),
    activations: terms(extra, (cause) => !LOGITS_CAUSES.has(cause)),
    logits: terms(extra, (cause) => LOGITS_CAUSES.has(cause)),
  };
}

interface Recorded {
  readonly architecture: Architecture;
  readonly order: string;
  readonly tape: Tape;
}

/** Newest last. A plan has four: policy and critic, scoring and training; what changes would make it fit asks for thirty. */
const recorded: Recorded[] = [];
const TAPES = 64;

/** A tape with the operators of this pass in their order, whichever batch it was recorded for. */
function tapeOf(architecture: Architecture, question: PassQuestion): Tape {
  const order = orderOf(architecture, question);
  const at = recorded.findIndex((one) => one.architecture === architecture && one.order === order);
  const [known] = at < 0 ? [] : recorded.splice(at, 1);
  const one = known ?? { architecture, order, tape: record(architecture, question) };
  recorded.push(one);
  if (recorded.length > TAPES) recorded.shift();
  return one.tape;
}

/** All that decides which operators run in which order: those fields, and what little of the sizes does. */
function orderOf({ runs }: Architecture, question: PassQuestion): string {
  const { sequences, length, lossRows } = question;
  const windowed = runs.filter(
    ({ layer: { attention } }) => attention.kind === "grouped" && (attention.window ?? length) < length,
  );
  // Which parts of the loss there are, and whether those between the first and the last repeat.
  const { laterPart, target } = unitsOf(question, question);
  const parts = lossRows === undefined ? "" : `${target > lossRows} ${Math.min(2, laterPart)}`;
  return `${keyOf(question, ORDER_FIELDS)}${sequences > 1},${parts},${windowed.length}`;
}

function record(architecture: Architecture, question: PassQuestion): Tape {
  const { kind, sequences, length, masked, loraRank, multiprocessors, cublasBytes } = question;
  const trains = kind === "train";
  const options: StepOptions = {
    batch: { sequences, length, masked },
    storage: {
      itemBytes: question.itemBytes,
      quantisedBytes: question.quantisedBytes,
      training: trainingOf(trains, loraRank),
      tensorParallel: question.tensorParallel,
    },
    autocast: question.autocast,
    checkpointing: question.checkpointing,
    attention: question.attention,
    keyValueCache: false,
    head: question.head,
    lossRows: question.lossRows,
    optimizer: { bytesPerWeight: () => [], counts: false },
    kernels: { multiprocessors, cublasBytes },
    folded: true,
    warm: [],
  };
  return trains ? accumulateTape(architecture, options) : scoreTape(architecture, options);
}

function trainingOf(trains: boolean, loraRank: number | undefined): StepOptions["storage"]["training"] {
  if (loraRank !== undefined) return { kind: "adapters", rank: loraRank };
  return { kind: trains ? "all" : "none" };
}

const LOGITS_CAUSES: ReadonlySet<Cause> = new Set(["logits", "log-probabilities", "gradients of logits"]);

/** What is left of these beside what is kept. */
const NAMES: Readonly<Partial<Record<Cause, string>>> = { gradients: "a gradient before it is added" };

function terms(peak: readonly (readonly [Cause, number])[], belongs: (cause: Cause) => boolean): readonly Term[] {
  return peak
    .filter(([cause, amount]) => amount > 0 && belongs(cause))
    .map(([cause, amount]): Term => ({ cause: NAMES[cause] ?? cause, amount, ...reasonOf(cause) }))
    .sort((one, other) => other.amount - one.amount);
}
