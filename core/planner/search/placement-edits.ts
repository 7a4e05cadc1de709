/** What can be changed in where a plan runs: how its GPUs divide the models, how many they are, and which card. */
import { GPUS } from "../gpus/catalogue.ts";
import { isEmbedded, plannedGpu } from "../gpus/planned-gpu.ts";
import type { Architecture } from "../models/architecture.ts";
import { divisorsOf, layoutOf, type Placement, type Plan } from "../plan.ts";
import { architectureOf } from "../planned-model.ts";
import { type Edit, step } from "./edit.ts";

export function placementEdits(plan: Plan): readonly Edit[] {
  // The embedded engine has one device, and its trainers the same or one other.
  if (isEmbedded(plan.gpu)) return [];
  const counts =
    plan.placement.kind === "colocated"
      ? [moreGpus(plan, "gpus")]
      : [moreGpus(plan, "engineGpus"), moreGpus(plan, "trainerGpus")];
  return [zeroStage(plan), engineTensorParallel(plan), card(plan), ...counts];
}

function zeroStage({ placement, strategies }: Plan): Edit {
  const { zeroStage: from } = placement;
  const most = strategies.swap.method === "share" ? 2 : 3;
  const stages = ([1, 2, 3] as const).filter((stage) => stage > from && stage <= most);
  return {
    field: "placement.zeroStage",
    effect: "speed",
    steps:
      layoutOf(placement).trainers === 1
        ? []
        : stages.map((to) => step(`ZeRO ${from} → ${to}`, (plan) => inPlacement(plan, { zeroStage: to }))),
  };
}

/** All sizes are one step: of two that fit none changes less, and the faster one is taken. */
function engineTensorParallel(plan: Plan): Edit {
  const { engineTensorParallel: from } = plan.placement;
  const label = ({ placement }: Plan) => `engine over ${placement.engineTensorParallel} GPUs instead of ${from}`;
  const divided = (changed: Plan) =>
    dividedEngines(changed).filter(({ placement }) => placement.engineTensorParallel > from);
  return {
    field: "placement.engineTensorParallel",
    effect: "speed",
    steps: divided(plan).length === 0 ? [] : [{ label, apply: divided }],
  };
}

function card({ gpu: planned }: Plan): Edit {
  const size = plannedGpu(planned).totalBytes.value;
  const larger = GPUS.filter(({ totalBytes }) => totalBytes.value > size * 1.01).toSorted(
    (one, other) => one.totalBytes.value - other.totalBytes.value,
  );
  return {
    field: "gpu.name",
    effect: "hardware",
    steps: larger.map(({ name }) => step(`${name} instead of ${planned.name}`, (plan) => ({ ...plan, gpu: { name } }))),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// More GPUs

type GpuField = "gpus" | "trainerGpus" | "engineGpus";

const OF = { gpus: "", trainerGpus: " for the trainer", engineGpus: " for the engine" } as const;

/** GPUs are doubled, so that whatever divided them and the heads still does. */
function moreGpus({ placement }: Plan, field: GpuField): Edit {
  const from = gpusOf(placement, field);
  const trains = field !== "engineGpus";
  const label = (to: number, { placement: changed }: Plan): string => {
    const { engineTensorParallel: parts } = changed;
    const zero = trains && changed.zeroStage !== placement.zeroStage ? [`ZeRO ${changed.zeroStage}`] : [];
    const engine = parts === placement.engineTensorParallel ? [] : [`engine over ${parts}`];
    return [`${to} GPUs instead of ${from}${OF[field]}`, ...zero, ...engine].join(", ");
  };
  return {
    field: `placement.${field}`,
    effect: "hardware",
    steps: countsFrom(from, placement.gpusPerNode).map((to) => ({
      label: (changed) => label(to, changed),
      apply: (plan) => {
        const sharded = trains ? ({ zeroStage: 3 } as const) : {};
        return dividedEngines(unshared(inPlacement(plan, { [field]: to, ...sharded })));
      },
    })),
  };
}

function gpusOf(placement: Placement, field: GpuField): number {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  return field === "engineGpus" ? engineGpus : trainerGpus;
}

/** So many GPUs, or so many times as many as a larger plan has, are tried. */
const MOST_GPUS = 128;
const MOST_TIMES = 4;

function mostFrom(from: number): number {
  return Math.max(MOST_GPUS, MOST_TIMES * from);
}

/** From one upwards, twice as many each time; beyond a node, whole nodes. */
function countsFrom(from: number, gpusPerNode: number): readonly number[] {
  const counts: number[] = [];
  for (let count = 2 * from; count <= mostFrom(from); count *= 2) {
    if (count <= gpusPerNode || count % gpusPerNode === 0) counts.push(count);
  }
  return counts;
}

/** The most GPUs of a plan's kind that are tried for it. */
export function mostGpusTried({ placement, gpu }: Plan): number {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const most = (from: number) => (isEmbedded(gpu) ? from : (countsFrom(from, placement.gpusPerNode).at(-1) ?? from));
  return placement.kind === "colocated" ? most(trainerGpus) : most(trainerGpus) + most(engineGpus);
}

// ---------------------------------------------------------------------------------------------------------------------
// One engine over several GPUs

/** Servers run one engine over two nodes; over more its GPUs wait for each other. */
const MOST_NODES = 2;

/** The plan with its engines over so many GPUs as they are now, and over every larger number that the heads allow. */
function dividedEngines(plan: Plan): readonly Plan[] {
  const { engineTensorParallel: from, gpusPerNode } = plan.placement;
  const { engineGpus } = layoutOf(plan.placement);
  const architecture = architectureOf(plan.workload.policy.model, "workload.policy.model");
  const sizes = divisorsOf(engineGpus).filter(
    (parts) => parts > from && parts <= MOST_NODES * gpusPerNode && dividesHeads(architecture, parts),
  );
  return [plan, ...sizes.map((parts) => unshared(inPlacement(plan, { engineTensorParallel: parts })))];
}

/** Heads of keys and values are divided too, or each is on several GPUs. */
function dividesHeads({ runs }: Architecture, parts: number): boolean {
  return runs.every(({ layer: { attention } }) => {
    if (attention.heads % parts !== 0) return false;
    return attention.kind !== "grouped" || attention.kvHeads % parts === 0 || parts % attention.kvHeads === 0;
  });
}

/** Weights that the trainer holds in shards cannot be read by the engine as they are. */
function unshared(plan: Plan): Plan {
  const { strategies } = plan;
  return strategies.swap.method === "share"
    ? { ...plan, strategies: { ...strategies, swap: { method: "copy" } } }
    : plan;
}

function inPlacement(
  plan: Plan,
  change: Partial<Record<GpuField | "engineTensorParallel", number>> & Pick<Partial<Placement>, "zeroStage">,
): Plan {
  return { ...plan, placement: { ...plan.placement, ...change } };
}
