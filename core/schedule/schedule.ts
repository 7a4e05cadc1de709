/**
 * The Schedule: an ordered list of the phases of one PPO step, each with a work and the memory actions on its edges. It is
 * the one idea of the program, read three ways: the planner predicts it, the stepper executes it, the recorder records it.
 * It is plain JSON that a person can edit by hand, and it is a loop: after the last phase comes the first of the next step.
 */
import { z } from "zod";
import { assertNever } from "../errors.ts";
import { strategySetSchema } from "./strategies.ts";
import { SCHEDULED_CONSUMERS, type ScheduledConsumer, WORKS, type Work } from "./works.ts";

export const precisionSchema = z.enum(["fp32", "bf16", "fp16"]);
export type Precision = z.infer<typeof precisionSchema>;
/** Of gradients and of Adam's moments: fp16 has no room for the small ones. */
export const statePrecisionSchema = precisionSchema.exclude(["fp16"]);
export type StatePrecision = z.infer<typeof statePrecisionSchema>;
const frozenPrecisionSchema = z.enum([...precisionSchema.options, "int8"]);

/** Who takes part, and in which precision its weights lie on the device. */
export const rolesSchema = z.strictObject({
  engine: precisionSchema,
  policy: precisionSchema,
  critic: precisionSchema,
  reference: frozenPrecisionSchema,
  /** `rule`: the reward is computed by a program and has no weights. */
  reward: z.enum([...frozenPrecisionSchema.options, "rule"]),
  /**
   * `streamed`: optimizers' states are on the host, and an update passes them through the device piece by piece. Left out,
   * they are on the device for it.
   */
  optimizers: z.literal("streamed").exactOptional(),
});
export type Roles = z.infer<typeof rolesSchema>;

const consumerSchema = z.enum(SCHEDULED_CONSUMERS);

const swapSchema = z.strictObject({
  kind: z.literal("swap"),
  /** The other of the two is written: the engine's weights from the policy's, or back. */
  from: z.enum(["policy.weights", "engine.weights"]),
  method: z.enum(["share", "copy", "bucketed"]),
  /** For `bucketed`: the device buffer that the weights pass through. */
  bucketBytes: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
  /** The precision written, where the two differ. */
  cast: precisionSchema.optional(),
});
export type Swap = z.infer<typeof swapSchema>;

export const actionSchema = z.discriminatedUnion("kind", [
  /** Gives memory up with what is in it: to the device, or (`hold`) to the next region of this process. */
  z.strictObject({
    kind: z.literal("release"),
    consumer: consumerSchema,
    destination: z.enum(["return", "hold"]).default("return"),
  }),
  /** Takes memory again; what is in it is undefined. */
  z.strictObject({ kind: z.literal("resume"), consumer: consumerSchema }),
  /** Gives memory up and keeps the contents elsewhere. */
  z.strictObject({ kind: z.literal("offload"), consumer: consumerSchema, to: z.enum(["host", "disk"]) }),
  /** Brings back what was offloaded. */
  z.strictObject({ kind: z.literal("load"), consumer: consumerSchema }),
  swapSchema,
]);
export type Action = z.infer<typeof actionSchema>;
export const ACTION_KINDS = [
  "release",
  "resume",
  "offload",
  "load",
  "swap",
] as const satisfies readonly Action["kind"][];

export const phaseSchema = z.strictObject({
  work: z.enum(WORKS),
  before: z.array(actionSchema).default([]),
  after: z.array(actionSchema).default([]),
});
export type Phase = z.infer<typeof phaseSchema>;

export const scheduleSchema = z.strictObject({
  version: z.literal(1),
  name: z.string().min(1).max(200),
  roles: rolesSchema,
  /** What it was built from, for the reader. The phases are what runs. */
  strategies: strategySetSchema.optional(),
  phases: z.array(phaseSchema).min(1),
});
export type Schedule = z.infer<typeof scheduleSchema>;

// ---------------------------------------------------------------------------------------------------------------------
// The schedule as the flat list that is checked, executed and stepped through

/** One thing to do. `index` is its place in the step's flat list, `phase` that of its phase. */
export type Item = { readonly index: number; readonly phase: number; readonly work: Work } & (
  | { readonly kind: "action"; readonly edge: "before" | "after"; readonly position: number; readonly action: Action }
  | { readonly kind: "work" }
);

/** Of each schedule that was asked about: a schedule is never changed, and a run asks at every item. */
const LISTS = new WeakMap<Schedule, readonly Item[]>();

/** Everything of one step, in order. */
export function itemsOf(schedule: Schedule): readonly Item[] {
  const known = LISTS.get(schedule);
  if (known !== undefined) return known;
  const items = listItems(schedule);
  LISTS.set(schedule, items);
  return items;
}

function listItems(schedule: Schedule): readonly Item[] {
  const items: Item[] = [];
  for (const [phase, { work, before, after }] of schedule.phases.entries()) {
    const actions = (edge: "before" | "after", list: readonly Action[]) => {
      for (const [position, action] of list.entries()) {
        items.push({ kind: "action", index: items.length, phase, work, edge, position, action });
      }
    };
    actions("before", before);
    items.push({ kind: "work", index: items.length, phase, work });
    actions("after", after);
  }
  return items;
}

// ---------------------------------------------------------------------------------------------------------------------
// Words

/** The consumer whose residency or contents an action changes. */
export function targetOf(action: Action): ScheduledConsumer {
  if (action.kind !== "swap") return action.consumer;
  return action.from === "policy.weights" ? "engine.weights" : "policy.weights";
}

/** "offload reference.weights to disk": the same words on screen, in errors and in reports. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case "release":
      return `release ${action.consumer}${action.destination === "hold" ? " (hold)" : ""}`;
    case "resume":
    case "load":
      return `${action.kind} ${action.consumer}`;
    case "offload":
      return `offload ${action.consumer} to ${action.to}`;
    case "swap": {
      const cast = action.cast === undefined ? "" : `, cast to ${action.cast}`;
      return `swap ${targetOf(action)} from ${action.from} (${action.method}${cast})`;
    }
    default:
      return assertNever(action);
  }
}

/** "train_policy", or "before train_policy, action 2". */
export function describePlace(item: Item): string {
  return item.kind === "work" ? item.work : `${item.edge} ${item.work}, action ${item.position + 1}`;
}
