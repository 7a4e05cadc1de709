/** The fields of a plan: how each is called in errors, read and written. */
import type {
  FrozenRole,
  Placement,
  Plan,
  PlannedGpu,
  PlannedWorkload,
  TrainedRole,
} from "../../../../core/planner/plan.ts";
import type { StatePrecision } from "../../../../core/schedule/schedule.ts";

export interface Lens<Value> {
  /** "workload.policy.precision" */
  readonly field: string;
  readonly get: (plan: Plan) => Value;
  readonly set: (plan: Plan, value: Value) => Plan;
}

export function workloadField<Name extends keyof PlannedWorkload>(name: Name): Lens<PlannedWorkload[Name]> {
  return {
    field: `workload.${name}`,
    get: ({ workload }) => workload[name],
    set: (plan, value) => ({ ...plan, workload: withField(plan.workload, name, value) }),
  };
}

/** One that may be left out. */
export function optionalWorkloadField(name: "lossChunkTokens"): Lens<number | undefined> {
  return {
    field: `workload.${name}`,
    get: ({ workload }) => workload[name],
    set: (plan, value) => ({ ...plan, workload: withOptional(plan.workload, name, value) }),
  };
}

export type TrainedName = "policy" | "critic";
export type FrozenName = "reference" | "reward";

export function trainedField<Name extends Exclude<keyof TrainedRole, "lora">>(
  role: TrainedName,
  name: Name,
): Lens<TrainedRole[Name]> {
  return {
    field: `workload.${role}.${name}`,
    get: ({ workload }) => workload[role][name],
    set: (plan, value) => ({
      ...plan,
      workload: { ...plan.workload, [role]: withField(plan.workload[role], name, value) },
    }),
  };
}

/** Of the embedded engine; a plan for launchers leaves it out. */
export function gradientPrecision(role: TrainedName): Lens<StatePrecision> {
  return {
    field: `workload.${role}.gradients`,
    get: ({ workload }) => workload[role].gradients ?? "fp32",
    set: (plan, precision) => {
      const trained = withOptional(plan.workload[role], "gradients", precision === "fp32" ? undefined : precision);
      return { ...plan, workload: { ...plan.workload, [role]: trained } };
    },
  };
}

/** Undefined: all weights are trained. */
export function loraRank(role: TrainedName): Lens<number | undefined> {
  return {
    field: `workload.${role}.lora`,
    get: ({ workload }) => workload[role].lora?.rank,
    set: (plan, rank) => {
      const lora = rank === undefined ? undefined : { rank };
      return { ...plan, workload: { ...plan.workload, [role]: withOptional(plan.workload[role], "lora", lora) } };
    },
  };
}

/** Undefined: a rule, which has no model. */
export function frozenField<Name extends keyof FrozenRole>(
  role: FrozenName,
  name: Name,
): Lens<FrozenRole[Name] | undefined> {
  return {
    field: `workload.${role}.${name}`,
    get: ({ workload }) => {
      const frozen = workload[role];
      return frozen === "rule" ? undefined : frozen[name];
    },
    set: (plan, value) => {
      const frozen = plan.workload[role];
      if (frozen === "rule" || value === undefined) return plan;
      return { ...plan, workload: { ...plan.workload, [role]: { ...frozen, [name]: value } } };
    },
  };
}

type Engine = PlannedWorkload["engine"];

export function engineField<Name extends "precision" | "kvCacheType" | "cudaGraphs">(name: Name): Lens<Engine[Name]> {
  return {
    field: `workload.engine.${name}`,
    get: ({ workload }) => workload.engine[name],
    set: (plan, value) => withEngine(plan, withField(plan.workload.engine, name, value)),
  };
}

export function optionalEngineField(name: "kvCacheBytes" | "runningSequences"): Lens<number | undefined> {
  return {
    field: `workload.engine.${name}`,
    get: ({ workload }) => workload.engine[name],
    set: (plan, value) => withEngine(plan, withOptional(plan.workload.engine, name, value)),
  };
}

function withEngine(plan: Plan, engine: Engine): Plan {
  return { ...plan, workload: { ...plan.workload, engine } };
}

export function placementField<Name extends "tensorParallel" | "zeroStage" | "engineTensorParallel" | "gpusPerNode">(
  name: Name,
): Lens<Placement[Name]> {
  return {
    field: `placement.${name}`,
    get: ({ placement }) => placement[name],
    set: (plan, value) => ({ ...plan, placement: { ...plan.placement, [name]: value } }),
  };
}

export function optionalGpuField(
  name: Exclude<keyof PlannedGpu, "name" | "measured" | "embedded">,
): Lens<number | undefined> {
  return {
    field: `gpu.${name}`,
    get: ({ gpu }) => gpu[name],
    set: (plan, value) => ({ ...plan, gpu: withOptional(plan.gpu, name, value) }),
  };
}

function withField<Fields extends object, Name extends keyof Fields>(
  fields: Fields,
  name: Name,
  value: Fields[Name],
): Fields {
  return { ...fields, [name]: value };
}

/** Undefined takes the field out: a plan's optional fields are absent, never undefined. */
function withOptional<Fields extends object, Name extends keyof Fields>(
  fields: Fields,
  name: Name,
  value: Fields[Name] | undefined,
): Fields {
  const { [name]: _, ...rest } = fields;
  return (value === undefined ? rest : { ...rest, [name]: value }) as Fields;
}
