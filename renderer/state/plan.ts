/**
 * The plan on the Plan screen: the one that is edited, what it was before, and the one laid beside it. Kept in the browser's
 * storage, so that a reload brings it back. Fields may be out of their range while somebody types.
 */
import { create } from "zustand";
import { type Plan, planSchema } from "../../core/planner/plan.ts";
import { PRESETS } from "../../core/planner/presets.ts";

const STORAGE_KEY = "tideline.plan";
const MOST_UNDONE = 100;

export interface PlanStore {
  readonly plan: Plan;
  /** Newest last. */
  readonly past: readonly Plan[];
  /** What was undone, newest first. */
  readonly future: readonly Plan[];
  /** The field of the last edit: further edits of it, as a slider makes them, are undone together. */
  readonly edited: string | undefined;
  /** A plan laid beside. */
  readonly other: Plan | undefined;
  /** What is drawn beside the plan: the other one, or what the run that has the device measured. */
  readonly beside: "nothing" | "plan" | "run";
}

export const usePlan = create<PlanStore>(() => {
  const { plan, other } = stored();
  return { plan, other, past: [], future: [], edited: undefined, beside: other === undefined ? "nothing" : "plan" };
});

/** One edit of one field. */
export function editPlan(field: string, change: (plan: Plan) => Plan): void {
  usePlan.setState(({ plan, past, edited }) => ({
    plan: change(plan),
    past: edited === field ? past : [...past, plan].slice(-MOST_UNDONE),
    future: [],
    edited: field,
  }));
}

/** Another plan altogether: a preset, one from a file, the one that a search found. */
export function choosePlan(next: Plan): void {
  usePlan.setState(({ plan, past }) => ({
    plan: next,
    past: [...past, plan].slice(-MOST_UNDONE),
    future: [],
    edited: undefined,
  }));
}

export function undoPlan(): void {
  usePlan.setState(({ plan, past, future }) => {
    const before = past.at(-1);
    return before === undefined
      ? {}
      : { plan: before, past: past.slice(0, -1), future: [plan, ...future], edited: undefined };
  });
}

export function redoPlan(): void {
  usePlan.setState(({ plan, past, future }) => {
    const [next, ...rest] = future;
    return next === undefined ? {} : { plan: next, past: [...past, plan], future: rest, edited: undefined };
  });
}

/** Lays a plan beside; undefined takes it away. */
export function layBeside(other: Plan | undefined): void {
  usePlan.setState({ other, beside: other === undefined ? "nothing" : "plan" });
}

export function drawBeside(beside: PlanStore["beside"]): void {
  usePlan.setState({ beside });
}

/** The plan beside becomes the one that is edited, and the other way round. */
export function exchangePlans(): void {
  const { plan, other } = usePlan.getState();
  if (other === undefined) return;
  choosePlan(other);
  layBeside(plan);
}

// ---------------------------------------------------------------------------------------------------------------------
// At rest

const REST_MS = 120;

/** What is shown of the plan, once a slider or a number that is being typed has come to rest. */
const useRested = create<Pick<PlanStore, "plan" | "other">>(shown);

/** The plan without what a slider goes through on its way: for what is too slow to be found out with every frame. */
export function useRestedPlan(): Plan {
  return useRested(({ plan }) => plan);
}

let resting: ReturnType<typeof setTimeout> | undefined;

function rest(): void {
  clearTimeout(resting);
  useRested.setState(shown());
}

function shown(): Pick<PlanStore, "plan" | "other"> {
  const { plan, other } = usePlan.getState();
  return { plan, other };
}

usePlan.subscribe((now, before) => {
  if (now.plan === before.plan && now.other === before.other) return;
  const goesOn = now.past === before.past && now.other === before.other;
  if (!goesOn) return rest();
  clearTimeout(resting);
  resting = setTimeout(rest, REST_MS);
});

useRested.subscribe(({ plan, other }) => {
  // What cannot be read back is not worth keeping.
  if (!planSchema.safeParse(plan).success) return;
  try {
    localStorage.setItem(STORAGE_KEY, JSON.stringify({ plan, other }));
  } catch {
    // Storage may be full or forbidden; the plan then lasts as long as the window.
  }
});

// A page that goes away does not wait.
if (typeof window !== "undefined") window.addEventListener("pagehide", rest);

function stored(): Pick<PlanStore, "plan" | "other"> {
  let data: unknown;
  try {
    data = JSON.parse(localStorage.getItem(STORAGE_KEY) ?? "{}");
  } catch {
    data = {};
  }
  const read = (name: string): Plan | undefined => {
    const value: unknown = typeof data === "object" && data !== null ? Reflect.get(data, name) : undefined;
    const parsed = planSchema.safeParse(value);
    return parsed.success ? parsed.data : undefined;
  };
  return { plan: read("plan") ?? PRESETS[0].plan, other: read("other") };
}
