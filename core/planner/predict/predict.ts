/**
 * The prediction of a plan: the schedule that its strategies make, played on what its consumers take. Pure, and fast enough
 * to follow a slider: what is slow to find out (a tape of PyTorch's operators) is remembered.
 */
import { TidelineError, toErrorData } from "../../errors.ts";
import { buildSchedule } from "../../schedule/build.ts";
import { type Check, checkSchedule, problemError } from "../../schedule/check.ts";
import { streamedConsumers } from "../../schedule/residency.ts";
import { describeAction, type Schedule, targetOf } from "../../schedule/schedule.ts";
import { SCHEDULED_CONSUMERS } from "../../schedule/works.ts";
import type { Footprint } from "../memory/footprint.ts";
import { footprintOf } from "../memory/plan-footprint.ts";
import { layoutOf, type Plan } from "../plan.ts";
import { sumOf } from "../provenance.ts";
import { type ResolvedPlan, resolvePlan, rolesOfPlan } from "../resolve.ts";
import { gpuKinds } from "./gpu-kinds.ts";
import { bytesByConsumer, peakOf } from "./holders.ts";
import { type OccupiedMoment, occupiedBytes, playStep, type Sizes, sizesOf, withoutPasses } from "./occupancy.ts";
import type { PredictedGpu, PredictedPhase, PredictedTransition, Prediction } from "./prediction.ts";
import { keptBytes, transitionsOf } from "./transition-seconds.ts";
import { fitOf, marginBytesOf, verdictOf } from "./verdict.ts";
import { workSecondsOf } from "./work-seconds.ts";

/** @throws TidelineError `plan_invalid` with the field of what cannot be together. */
export function predict(plan: Plan): Prediction {
  return predictSchedule(plan, scheduleOf(plan));
}

/**
 * The schedule of a plan's strategies.
 * @throws TidelineError `plan_invalid` with the field of strategies that contradict each other.
 */
export function scheduleOf(plan: Pick<Plan, "workload" | "strategies">): Schedule {
  try {
    return buildSchedule(plan.strategies, rolesOfPlan(plan));
  } catch (cause) {
    const error = toErrorData(cause);
    if (error.code !== "bad_argument" || error.field === undefined) throw cause;
    const message = `strategies.${error.message}`;
    throw new TidelineError({ ...error, code: "plan_invalid", field: `strategies.${error.field}`, message }, { cause });
  }
}

/**
 * The prediction of any schedule for a plan's models and GPUs, one that somebody edited by hand among them.
 * @throws TidelineError as `predict`, and the one that names the action that a schedule lacks.
 */
export function predictSchedule(plan: Plan, schedule: Schedule): Prediction {
  const resolved = resolvePlan(plan);
  const check = checkSchedule(schedule);
  if (!check.ok) throw problemError(check.problem);
  return assemble(resolved, schedule, check, footprintOf(resolved));
}

function assemble(
  resolved: ResolvedPlan,
  schedule: Schedule,
  check: Extract<Check, { ok: true }>,
  footprint: Footprint,
): Prediction {
  const { plan, gpu } = resolved;
  const sizes = sizesOf(footprint);
  const step = playStep(check, footprint, sizes);
  const kinds = gpuKinds(plan.placement);
  const works = workSecondsOf(resolved, footprint);
  const transitions = predictedTransitions(resolved, sizes, step.moments);

  const phases = schedule.phases.map(({ work }, phase): PredictedPhase => {
    const from = step.moments.findIndex(({ moment }) => moment.item.phase === phase);
    const moments = step.moments.filter(({ moment }) => moment.item.phase === phase);
    const entered = step.moments[from - 1]?.after ?? step.start;
    const occupancies = [entered, ...moments.map(({ during }) => during)];
    const own = moments.flatMap((occupied) => transitions.get(occupied) ?? []);
    return {
      work,
      workTerm: works[work],
      memorySeconds: own.reduce((sum, { totalSeconds }) => sum + totalSeconds, 0),
      transitions: own,
      peaks: kinds.map(({ groups }) => peakOf(occupancies, groups, sizes, footprint)),
    };
  });

  const capacityBytes = gpu.totalBytes.value;
  const gpus = kinds.map(({ kind, count }, index): PredictedGpu => {
    const peaks = phases.map(({ work, peaks: all }) => ({ work, bytes: all[index]?.bytes ?? 0 }));
    const { work: peakWork, bytes: peakBytes } = peaks.reduce((most, one) => (one.bytes > most.bytes ? one : most));
    return { kind, count, peakBytes, peakWork, headroomBytes: capacityBytes - peakBytes };
  });
  const fullestIndex = gpus.reduce(
    (most, { peakBytes }, index) => (peakBytes > (gpus[most]?.peakBytes ?? 0) ? index : most),
    0,
  );
  const [fullest, groups] = [gpus[fullestIndex], kinds[fullestIndex]?.groups];
  if (fullest === undefined || groups === undefined) {
    throw new TidelineError({ code: "internal", message: "a placement has no GPUs" });
  }
  const marginBytes = marginBytesOf(resolved);
  return {
    plan,
    gpu,
    schedule,
    capacityBytes,
    gpus,
    fullest,
    phases,
    workSeconds: phases.reduce((sum, { workTerm }) => sum + workTerm.amount, 0),
    memorySeconds: phases.reduce((sum, { memorySeconds }) => sum + memorySeconds, 0),
    hostBytes: hostBytesOf(plan, schedule, sizes),
    marginBytes,
    fit: fitOf(fullest, marginBytes),
    verdict: verdictOf(fullest, capacityBytes, marginBytes, gpus.length > 1),
    start: bytesByConsumer(sizes, step.start, groups),
    moments: step.moments.map((occupied) => {
      const { moment, during, after } = occupied;
      const { item } = moment;
      return {
        ...moment,
        seconds: item.kind === "work" ? works[item.work].amount : (transitions.get(occupied)?.totalSeconds ?? 0),
        during: bytesByConsumer(sizes, during, groups),
        after: bytesByConsumer(sizes, after, groups),
      };
    }),
    engine: {
      ...footprint.engine,
      trainersAtStartBytes:
        plan.placement.kind === "separate" ? 0 : occupiedBytes(sizes, withoutPasses(step.start), ["trainer"]),
    },
  };
}

function predictedTransitions(
  resolved: ResolvedPlan,
  sizes: Sizes,
  moments: readonly OccupiedMoment[],
): ReadonlyMap<OccupiedMoment, PredictedTransition> {
  const transitions = transitionsOf(resolved, sizes);
  const predicted = new Map<OccupiedMoment, PredictedTransition>();
  for (const occupied of moments) {
    const { item, outcome } = occupied.moment;
    if (item.kind === "work" || outcome === "already") continue;
    const { action, edge } = item;
    const transition = transitions(action, occupied.before);
    predicted.set(occupied, {
      ...transition,
      action,
      label: describeAction(action),
      edge,
      consumer: targetOf(action),
      totalSeconds: sumOf(transition.seconds),
    });
  }
  return predicted;
}

/** Backups keep their memory once they have it: all that ever goes to the host counts, and what is always there. */
function hostBytesOf({ placement }: Plan, { phases, roles }: Schedule, sizes: Sizes): number {
  const streamed = streamedConsumers(roles);
  const offloaded = SCHEDULED_CONSUMERS.filter(
    (consumer) =>
      streamed.includes(consumer) ||
      phases.some(({ before, after }) =>
        [...before, ...after].some(
          (action) => action.kind === "offload" && action.to === "host" && action.consumer === consumer,
        ),
      ),
  );
  const gpusOfHost = Math.min(layoutOf(placement).trainerGpus, placement.gpusPerNode);
  return offloaded.reduce((sum, consumer) => sum + gpusOfHost * keptBytes(sizes, consumer), 0);
}
