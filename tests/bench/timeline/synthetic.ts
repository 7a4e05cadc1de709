/**
 * A made-up recording that looks like RLHF on one 80 GiB card: steps of rollout, scoring and training, with the engine's
 * memory released and resumed around them, a hot swap, a resume that runs out of memory, and a stretch without samples.
 * For measuring and looking at the timeline; nothing in the program uses it.
 */
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import type { SampleRows } from "../../../core/timeline/store.ts";
import { TimelineStore } from "../../../core/timeline/store.ts";
import type { Phase, Timeline } from "../../../core/timeline/timeline.ts";
import { GIB, MIB } from "../../../core/units.ts";

const CONSUMERS = [
  "engine.weights",
  "engine.kv_cache",
  "policy.weights",
  "policy.gradients",
  "policy.optimizer",
  "critic.weights",
  "critic.gradients",
  "critic.optimizer",
  "reference.weights",
  "reward.weights",
  "activations",
  "logits",
  "workspace",
] as const;
type Name = (typeof CONSUMERS)[number];

const STEP_SECONDS = 90;
/** Phase and its share of a step. */
const PHASES = [
  ["rollout", 0.42],
  ["score_reference", 0.08],
  ["score_reward", 0.06],
  ["train_critic", 0.14],
  ["train_policy", 0.24],
  ["update_weights", 0.06],
] as const;

const SIZES: Readonly<Record<Name, number>> = {
  "engine.weights": 15.2 * GIB,
  "engine.kv_cache": 26 * GIB,
  "policy.weights": 15.2 * GIB,
  "policy.gradients": 7.6 * GIB,
  "policy.optimizer": 22 * GIB,
  "critic.weights": 3.1 * GIB,
  "critic.gradients": 3.1 * GIB,
  "critic.optimizer": 6.2 * GIB,
  "reference.weights": 7.8 * GIB,
  "reward.weights": 3.4 * GIB,
  activations: 9.5 * GIB,
  logits: 2.4 * GIB,
  workspace: 0.8 * GIB,
};
const TOTAL_BYTES = 80 * GIB;
const CONTEXT_BYTES = 620 * MIB;

/** Who is on the card in which phase; everything else is released. */
const RESIDENT: Readonly<Record<(typeof PHASES)[number][0], readonly Name[]>> = {
  rollout: ["engine.weights", "engine.kv_cache", "workspace", "critic.weights", "reference.weights"],
  score_reference: ["engine.weights", "reference.weights", "critic.weights", "logits", "workspace"],
  score_reward: ["engine.weights", "reward.weights", "critic.weights", "logits", "workspace"],
  train_critic: ["critic.weights", "critic.gradients", "critic.optimizer", "activations", "policy.weights"],
  train_policy: ["policy.weights", "policy.gradients", "policy.optimizer", "critic.weights", "activations", "logits"],
  update_weights: ["policy.weights", "engine.weights", "critic.weights", "reference.weights"],
};

export interface SyntheticOptions {
  readonly startSeconds: number;
  readonly seconds: number;
  readonly hertz: number;
  readonly hasPhases: boolean;
}

export function syntheticTimeline(options: SyntheticOptions): Timeline {
  const { startSeconds, seconds, hertz } = options;
  const samples = new TimelineStore();
  const rows = Math.floor(seconds * hertz);
  const batchRows = 10 * hertz;
  for (let row = 0; row < rows; row += batchRows) {
    samples.append(syntheticBatch(startSeconds, row, Math.min(batchRows, rows - row), hertz));
  }
  const phases = options.hasPhases ? phasesUntil(startSeconds, seconds) : [];
  return { samples, phases, actions: actionsUntil(startSeconds, seconds) };
}

/** Rows from `firstRow` on, as a batch; sampling is off from 40 to 52 s of every tenth minute. */
export function syntheticBatch(startSeconds: number, firstRow: number, rows: number, hertz: number): SampleRows {
  const values: number[] = [];
  let kept = 0;
  for (let row = firstRow; row < firstRow + rows; row++) {
    const seconds = row / hertz;
    if (seconds % 600 >= 40 && seconds % 600 < 52 && seconds > 600) continue;
    kept++;
    values.push(startSeconds + seconds, ...rowAt(seconds));
  }
  return { consumers: CONSUMERS, rows: kept, samples: values, dropped: 0 };
}

function rowAt(seconds: number): readonly number[] {
  const { name, progress } = phaseOf(seconds);
  const cells: number[] = [];
  let committedBytes = 0;
  for (const consumer of CONSUMERS) {
    const size = SIZES[consumer];
    const isResident = RESIDENT[name].includes(consumer);
    let committed = isResident ? size : 0;
    let used = committed;
    if (consumer === "engine.kv_cache")
      used = committed * Math.min(1, 0.04 + progress * 0.9 + 0.02 * noise(seconds * 3));
    if (consumer === "activations" && isResident) {
      const wave = (seconds * 1.4) % 1;
      committed = size * (0.25 + 0.75 * (wave < 0.6 ? wave / 0.6 : (1 - wave) / 0.4));
      used = committed;
    }
    if (consumer === "logits" && isResident) {
      committed = (seconds * 1.4) % 1 > 0.5 ? size : 0;
      used = committed;
    }
    committed = Math.round(committed / (2 * MIB)) * 2 * MIB;
    committedBytes += committed;
    cells.push(size, committed, Math.min(committed, Math.round(used)));
  }
  const held = name === "score_reference" ? 4 * GIB : 0;
  const unaccounted = Math.round((900 + 260 * noise(seconds * 0.05) + 30 * noise(seconds * 7)) * MIB);
  const used = committedBytes + held + CONTEXT_BYTES + unaccounted;
  return [used, TOTAL_BYTES, CONTEXT_BYTES, 0, held, ...cells];
}

function phaseOf(seconds: number): { readonly name: (typeof PHASES)[number][0]; readonly progress: number } {
  let rest = (seconds % STEP_SECONDS) / STEP_SECONDS;
  for (const [name, share] of PHASES) {
    if (rest < share) return { name, progress: rest / share };
    rest -= share;
  }
  return { name: "update_weights", progress: 1 };
}

function phasesUntil(startSeconds: number, seconds: number): readonly Phase[] {
  return edges(startSeconds, seconds).map(({ name, fromSeconds, toSeconds }) => ({
    name,
    startSeconds: fromSeconds,
    endSeconds: Math.min(toSeconds, startSeconds + seconds),
  }));
}

function actionsUntil(startSeconds: number, seconds: number): readonly ActionRecord[] {
  const actions: ActionRecord[] = [];
  const add = (action: Omit<ActionRecord, "id">): void => void actions.push({ id: actions.length, ...action });
  for (const { name, fromSeconds, step } of edges(startSeconds, seconds)) {
    if (name === "score_reference") add(release(fromSeconds, "engine.kv_cache", 0.4));
    if (name === "train_critic") add(release(fromSeconds, "engine.weights", 214));
    if (name === "train_policy" && step % 7 === 3) {
      add({
        timeSeconds: fromSeconds + 0.4,
        kind: "resume",
        consumer: "engine.kv_cache",
        label: "resume engine.kv_cache",
        milliseconds: 3.1,
        error: {
          code: "out_of_memory",
          message: "engine.kv_cache needs 26.0 GiB, 19.3 GiB are free; policy.optimizer holds 22.0 GiB",
          hint: "Release policy.optimizer or lower the KV cache's size.",
        },
      });
    }
    if (name === "update_weights") add(swap(fromSeconds + 0.9));
    if (name === "rollout" && step > 0) add(resume(fromSeconds, "engine.kv_cache", 1.2));
  }
  return actions;
}

function release(timeSeconds: number, consumer: Name, milliseconds: number): Omit<ActionRecord, "id"> {
  const receipt = { bytesFreed: SIZES[consumer], bytesRetained: 0, bytesCommitted: 0, bytesCopied: 0, milliseconds };
  const full = { action: "release", consumer, method: "discard", ...receipt } as const;
  return {
    timeSeconds,
    kind: "release",
    consumer,
    label: `release ${consumer} (discard)`,
    milliseconds,
    receipt: full,
  };
}

function resume(timeSeconds: number, consumer: Name, milliseconds: number): Omit<ActionRecord, "id"> {
  const receipt = { bytesFreed: 0, bytesRetained: 0, bytesCommitted: SIZES[consumer], bytesCopied: 0, milliseconds };
  const full = { action: "resume", consumer, method: "zero", ...receipt } as const;
  return { timeSeconds, kind: "resume", consumer, label: `resume ${consumer}`, milliseconds, receipt: full };
}

function swap(timeSeconds: number): Omit<ActionRecord, "id"> {
  const consumer = "engine.weights";
  const receipt = {
    bytesFreed: 0,
    bytesRetained: 0,
    bytesCommitted: 0,
    bytesCopied: SIZES[consumer],
    milliseconds: 41,
  };
  const full = { action: "swap", consumer, method: "copy", ...receipt } as const;
  return {
    timeSeconds,
    kind: "swap",
    consumer,
    label: "swap engine.weights ← policy",
    milliseconds: 41,
    receipt: full,
  };
}

function edges(startSeconds: number, seconds: number) {
  const found: { name: string; fromSeconds: number; toSeconds: number; step: number }[] = [];
  for (let step = 0; step * STEP_SECONDS < seconds; step++) {
    let at = step * STEP_SECONDS;
    for (const [name, share] of PHASES) {
      if (at >= seconds) break;
      const to = at + share * STEP_SECONDS;
      found.push({ name, fromSeconds: startSeconds + at, toSeconds: startSeconds + to, step });
      at = to;
    }
  }
  return found;
}

/** Smooth, repeatable, between -1 and 1. */
function noise(x: number): number {
  return (Math.sin(x * 1.7) + Math.sin(x * 2.9 + 1.3) + Math.sin(x * 7.1 + 0.4)) / 3;
}
