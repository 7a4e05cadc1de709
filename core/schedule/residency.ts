/**
 * What an action or a work does to the consumers: the rules of native/memory/region.h and of the engine's hot swap, as a
 * pure function. Refused is what the engine would refuse, and besides what it cannot know: weights that are older than the
 * last update. Every refusal names the actions that would have to come first.
 */
import { z } from "zod";
import { RESIDENCIES } from "../consumers.ts";
import { assertNever, type ErrorCode } from "../errors.ts";
import { type Action, describeAction, type Roles, type Swap, targetOf } from "./schedule.ts";
import { isScratch, NEEDS, SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "./works.ts";

const consumerMemorySchema = z.object({
  /** `shared`: the engine's weights are the policy's bytes, nothing of its own is resident. */
  residency: z.enum(RESIDENCIES),
  /** `stale`: weights of before the last update. */
  contents: z.enum(["defined", "stale", "undefined"]),
  /** At most one; offloading to the place of a clean one copies nothing. */
  backup: z.object({ where: z.enum(["host", "disk"]), clean: z.boolean() }).exactOptional(),
});
export type ConsumerMemory = Readonly<z.infer<typeof consumerMemorySchema>>;
export const memoryStateSchema = z.record(z.enum(SCHEDULED_CONSUMERS), consumerMemorySchema);
export type MemoryState = Readonly<Record<ScheduledConsumer, ConsumerMemory>>;

export interface Refusal {
  readonly code: ErrorCode;
  readonly consumer: ScheduledConsumer;
  /** What is the matter with the consumer: "is on the host". */
  readonly reason: string;
  /** What has to come first; nothing when the contents are lost, or when no action helps. */
  readonly missing: readonly Action[];
  /** What to do where nothing is missing. */
  readonly hint?: string;
}

/** `already`: the outcome is there before the action, there is nothing to do. */
export type Outcome =
  | { readonly kind: "done" | "already"; readonly state: MemoryState }
  | { readonly kind: "refused"; readonly refusal: Refusal };

type Remedy = Pick<Refusal, "missing" | "hint">;

const RELEASED: ConsumerMemory = { residency: "released", contents: "undefined" };

/** The state after an action, or why it cannot be done. */
export function applyAction(state: MemoryState, action: Action, roles: Roles): Outcome {
  if (action.kind === "swap") return applySwap(state, action, roles);
  const { consumer } = action;
  const memory = state[consumer];
  const done = (after: ConsumerMemory): Outcome => ({ kind: "done", state: { ...state, [consumer]: after } });
  const already: Outcome = { kind: "already", state };
  const refuse = (code: ErrorCode, reason: string, remedy?: Remedy) => refused(code, consumer, reason, remedy);
  const loadFirst: Remedy = { missing: [{ kind: "load", consumer }] };
  if (memory.residency === "shared") return refuse("shared", "has no memory of its own: it is shared");
  if ((action.kind === "release" || action.kind === "offload") && isLent(state, consumer)) {
    return refuse("shared", "is what the engine reads", {
      missing: [{ kind: "swap", from: "policy.weights", method: "copy" }],
    });
  }

  switch (action.kind) {
    case "release":
      if (memory.residency === "released") return already;
      return done(RELEASED);
    case "resume":
      if (memory.residency === "resident") return already;
      if (memory.residency !== "released") return refuse("bad_argument", describe(memory), loadFirst);
      return done({ residency: "resident", contents: "undefined" });
    case "offload":
      if (memory.residency === action.to) return already;
      if (memory.residency === "released") return refuse("already_released", describe(memory));
      if (memory.residency !== "resident") return refuse("already_released", describe(memory), loadFirst);
      if (memory.contents === "undefined") {
        return refuse("contents_undefined", "has no contents to keep", {
          missing: [],
          hint: `release ${consumer} instead`,
        });
      }
      return done({ residency: action.to, contents: memory.contents, backup: { where: action.to, clean: true } });
    case "load":
      if (memory.residency === "resident") return already;
      if (memory.residency === "released")
        return refuse(
          "backup_missing",
          "is released: nothing was kept of it",
          isScratch(consumer) ? { missing: [], hint: `resume ${consumer} instead` } : undefined,
        );
      return done({ ...memory, residency: "resident" });
    default:
      return assertNever(action);
  }
}

function applySwap(state: MemoryState, swap: Swap, roles: Roles): Outcome {
  const target = targetOf(swap);
  if (state[swap.from].residency === "shared") {
    return refused("shared", swap.from, `is a cycle: its bytes are those of ${target}`);
  }
  const source = usable(state, swap.from, roles);
  if (source !== undefined) return { kind: "refused", refusal: source };
  if (swap.method === "share") return applyShare(state, swap, roles);

  const memory = state[target];
  if (memory.residency !== "resident" && memory.residency !== "shared") {
    return refused("not_resident", target, describe(memory), { missing: roomFor(memory, target) });
  }
  return { kind: "done", state: { ...state, [target]: written({ ...memory, residency: "resident" }) } };
}

function applyShare(state: MemoryState, { from }: Swap, roles: Roles): Outcome {
  const copyInstead: Remedy = { missing: [], hint: "swap by copy instead" };
  if (from === "engine.weights") {
    return refused("unsupported", from, "cannot be read by the policy, only the other way round", copyInstead);
  }
  if (roles.policy !== roles.engine) {
    return refused("weights_mismatch", from, `is ${roles.policy}, and the engine reads ${roles.engine}`, copyInstead);
  }
  return { kind: "done", state: { ...state, "engine.weights": { residency: "shared", contents: "defined" } } };
}

function refused(
  code: ErrorCode,
  consumer: ScheduledConsumer,
  reason: string,
  remedy: Remedy = { missing: [] },
): Outcome {
  return { kind: "refused", refusal: { code, consumer, reason, ...remedy } };
}

/** The state after a work, or which consumer keeps it from starting. */
export function applyWork(state: MemoryState, work: Work, roles: Roles): Outcome {
  const { reads, scratch } = needsOf(work, roles);
  for (const consumer of [...reads, ...scratch]) {
    const refusal = usable(state, consumer, roles);
    if (refusal !== undefined) return { kind: "refused", refusal };
  }
  const after: Record<ScheduledConsumer, ConsumerMemory> = { ...state };
  for (const consumer of NEEDS[work].writes) after[consumer] = written(after[consumer]);
  const engine = after["engine.weights"];
  if (work === "train_policy" && engine.residency !== "shared" && engine.contents === "defined") {
    after["engine.weights"] = { ...engine, contents: "stale" };
  }
  return { kind: "done", state: after };
}

/** What a work needs on the device with these roles: a rule rewards without a model. */
export function needsOf(work: Work, roles: Roles): Pick<(typeof NEEDS)[Work], "reads" | "scratch"> {
  return work === "score_reward" && roles.reward === "rule" ? { reads: [], scratch: [] } : NEEDS[work];
}

/** Consumers that there are with these roles: a rule rewards without weights. */
export function consumersWith({ reward }: Roles): readonly ScheduledConsumer[] {
  return SCHEDULED_CONSUMERS.filter((consumer) => consumer !== "reward.weights" || reward !== "rule");
}

/** Why a work or a swap cannot use a consumer as it is, and what would change that; undefined when it can. */
function usable(state: MemoryState, consumer: ScheduledConsumer, roles: Roles): Refusal | undefined {
  const { residency, contents } = state[consumer];
  const streamed = residency === "host" && streamedConsumers(roles).includes(consumer);
  const there = residency === "resident" || residency === "shared" || streamed;
  if (there && (contents === "defined" || isScratch(consumer))) return undefined;
  return {
    code: there ? "contents_undefined" : "not_resident",
    consumer,
    reason: describe(state[consumer]),
    missing: bringBack(state, consumer, roles),
  };
}

/** What is updated from the host, piece by piece, in the order of a step. */
export function streamedConsumers({ optimizers }: Pick<Roles, "optimizers">): readonly ScheduledConsumer[] {
  return optimizers === "streamed" ? ["critic.optimizer", "policy.optimizer"] : [];
}

/** The actions that make a consumer usable again; none when its contents are lost. */
function bringBack(state: MemoryState, consumer: ScheduledConsumer, roles: Roles): readonly Action[] {
  const memory = state[consumer];
  if ((memory.residency === "host" || memory.residency === "disk") && memory.contents === "defined") {
    return [{ kind: "load", consumer }];
  }
  if (isScratch(consumer)) return [{ kind: "resume", consumer }];
  if (consumer !== "engine.weights" && consumer !== "policy.weights") return [];
  const from = consumer === "engine.weights" ? "policy.weights" : "engine.weights";
  if (state[from].contents !== "defined") return [];
  const swap: Swap = { kind: "swap", from, method: "copy", ...castOf(from, roles) };
  const fetch = state[from].residency === "resident" ? [] : bringBack(state, from, roles);
  return [...fetch, ...roomFor(memory, consumer), swap];
}

/** What makes a consumer resident to be overwritten: reading an old backup back first would be in vain. */
function roomFor({ residency }: ConsumerMemory, consumer: ScheduledConsumer): readonly Action[] {
  if (residency === "resident" || residency === "shared") return [];
  const resume: Action = { kind: "resume", consumer };
  return residency === "released" ? [resume] : [{ kind: "release", consumer, destination: "return" }, resume];
}

/** The cast that a swap from here needs: none where policy and engine have one precision. */
export function castOf(from: Swap["from"], { engine, policy }: Roles): Pick<Swap, "cast"> {
  if (engine === policy) return {};
  return { cast: from === "policy.weights" ? engine : policy };
}

function written(memory: ConsumerMemory): ConsumerMemory {
  const { residency, backup } = memory;
  // On the host the backup is all there is.
  return { residency, contents: "defined", ...(backup && { backup: { ...backup, clean: residency === "host" } }) };
}

/** Whether the engine reads this consumer's bytes as its own: they have to stay. */
function isLent(state: MemoryState, consumer: ScheduledConsumer): boolean {
  return consumer === "policy.weights" && state["engine.weights"].residency === "shared";
}

function describe({ residency, contents }: ConsumerMemory): string {
  switch (residency) {
    case "released":
      return "is released";
    case "host":
      return contents === "stale" ? "is on the host, from before the last update" : "is on the host";
    case "disk":
      return contents === "stale" ? "is on disk, from before the last update" : "is on disk";
    case "resident":
    case "shared":
      return contents === "stale" ? "is from before the last update" : "has undefined contents";
    default:
      return assertNever(residency);
  }
}

/** "load policy.optimizer, resume policy.gradients": what is missing, in words. */
export function describeMissing(missing: readonly Action[]): string {
  return missing.map((action) => `\`${describeAction(action)}\``).join(", then ");
}
