/**
 * A plan with its names looked up: the models' shapes, the GPU's figures, who is in which precision on the device. What
 * these shapes rule out is refused here, with the field of the plan.
 */
import { TidelineError } from "../errors.ts";
import { allowed } from "../input/fault.ts";
import type { Roles } from "../schedule/schedule.ts";
import type { Gpu } from "./gpus/catalogue.ts";
import { type Backend, isEmbedded, plannedGpu } from "./gpus/planned-gpu.ts";
import { kvBytesPerToken } from "./memory/engine/kv-cache.ts";
import { mostCountableRows } from "./memory/estimate/question.ts";
import type { Architecture, Head } from "./models/architecture.ts";
import { divisorsOf, type FrozenRole, layoutOf, type Plan, type TrainedRole } from "./plan.ts";
import { architectureOf } from "./planned-model.ts";

export interface ResolvedRole<Planned> {
  readonly planned: Planned;
  readonly architecture: Architecture;
  readonly head: Head;
  /** Of the plan, where the model is named. */
  readonly field: string;
}

export interface ResolvedPlan {
  readonly plan: Plan;
  readonly gpu: Gpu;
  readonly backend: Backend;
  readonly policy: ResolvedRole<TrainedRole>;
  readonly critic: ResolvedRole<TrainedRole>;
  /** Quantised already, where the strategies ask for it. */
  readonly reference: ResolvedRole<FrozenRole>;
  /** Undefined where a rule rewards. */
  readonly reward: ResolvedRole<FrozenRole> | undefined;
  /** The policy's model. */
  readonly engine: { readonly architecture: Architecture; readonly field: string };
}

/** @throws TidelineError `plan_invalid` with the field. */
export function resolvePlan(plan: Plan): ResolvedPlan {
  const { workload, strategies, gpu } = plan;
  const { policy, critic, reference, reward } = workload;
  const frozen = (role: "reference" | "reward", planned: FrozenRole, head: Head): ResolvedRole<FrozenRole> => ({
    ...lookedUp(role, planned, head),
    planned: strategies.int8[role] ? { ...planned, precision: "int8" } : planned,
  });
  const resolved: ResolvedPlan = {
    plan,
    gpu: plannedGpu(gpu),
    backend: isEmbedded(gpu) ? "embedded" : "launcher",
    policy: lookedUp("policy", policy, "language"),
    critic: lookedUp("critic", critic, "value"),
    reference: frozen("reference", reference, "language"),
    reward: reward === "rule" ? undefined : frozen("reward", reward, "value"),
    engine: { architecture: architectureOf(policy.model, "workload.policy.model"), field: "workload.policy.model" },
  };
  requireDividedHeads(resolved);
  requirePositions(resolved);
  requireCountable(resolved);
  return resolved;
}

function lookedUp<Planned extends TrainedRole | FrozenRole>(
  role: string,
  planned: Planned,
  head: Head,
): ResolvedRole<Planned> {
  const field = `workload.${role}.model`;
  return { planned, architecture: architectureOf(planned.model, field), head, field };
}

/**
 * The plan's precisions as a schedule names them: before the quantisation that `strategies` ask for. A schedule knows one
 * kind of quantised weights, int8; fp8 and nf4 stand under that name.
 */
export function rolesOfPlan({ workload }: Pick<Plan, "workload">): Roles {
  const { engine, policy, critic, reference, reward } = workload;
  return {
    engine: engine.precision,
    policy: policy.precision,
    critic: critic.precision,
    reference: quantisedAsInt8(reference.precision),
    reward: reward === "rule" ? "rule" : quantisedAsInt8(reward.precision),
  };
}

function quantisedAsInt8(precision: FrozenRole["precision"]): Roles["reference"] {
  return precision === "fp8" || precision === "nf4" ? "int8" : precision;
}

// ---------------------------------------------------------------------------------------------------------------------
// What the shapes rule out

function requireDividedHeads({ plan: { placement }, policy, critic, reference, reward, engine }: ResolvedPlan): void {
  const trained = [policy, critic, reference, ...(reward === undefined ? [] : [reward])];
  for (const { architecture } of trained) requireDivides("tensorParallel", placement.tensorParallel, architecture);
  requireDivides("engineTensorParallel", placement.engineTensorParallel, engine.architecture);
}

function requireDivides(field: string, parts: number, architecture: Architecture): void {
  for (const { layer } of architecture.runs) {
    const { heads } = layer.attention;
    if (heads % parts === 0) continue;
    throw refused(
      `placement.${field}`,
      `${parts} does not divide the ${heads} attention heads of ${architecture.family}`,
      allowed(divisorsOf(heads)),
    );
  }
}

function requirePositions({ plan: { workload }, engine: { architecture } }: ResolvedPlan): void {
  const tokens = workload.promptTokens + workload.responseTokens;
  if (tokens <= architecture.maxPositions) return;
  throw refused(
    "workload.responseTokens",
    `prompt and response are ${tokens} tokens, and the model takes ${architecture.maxPositions}`,
    `at most ${Math.max(0, architecture.maxPositions - workload.promptTokens)} with this prompt`,
  );
}

/** What a prediction adds up stays below 2^53, where whole numbers end. */
function requireCountable({ plan: { workload }, policy, critic, reference, reward, engine }: ResolvedPlan): void {
  const { microBatch, batch, attention, promptTokens, responseTokens } = workload;
  const tokens = promptTokens + responseTokens;
  const roles = [policy, critic, reference, ...(reward === undefined ? [] : [reward])];
  const rows = roles.map(({ architecture }) => mostCountableRows(architecture, tokens, attention === "eager"));
  requireRows("microBatch", microBatch, Math.min(...rows), tokens);
  const sequenceBytes = tokens * kvBytesPerToken(engine.architecture, WIDEST_KV_BYTES);
  requireRows("batch", batch, Math.floor(Number.MAX_SAFE_INTEGER / sequenceBytes), tokens);
}

const WIDEST_KV_BYTES = 4;

function requireRows(field: "microBatch" | "batch", rows: number, most: number, tokens: number): void {
  if (rows <= most) return;
  if (most >= 1) {
    const range = `must be a whole number from 1 to ${most} with ${tokens} tokens in a row`;
    throw refused(`workload.${field}`, `is ${rows}: ${range}`, "More bytes than 2^53 cannot be counted.");
  }
  const problem = `one row of ${tokens} tokens takes more than 2^53 bytes, which cannot be counted`;
  throw refused("workload.responseTokens", problem, "Choose a shorter response.");
}

/** How many GPUs the whole plan takes. */
export function gpuCount({ placement }: Pick<Plan, "placement">): number {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  return placement.kind === "colocated" ? trainerGpus : trainerGpus + engineGpus;
}

function refused(field: string, problem: string, hint: string): TidelineError {
  return new TidelineError({ code: "plan_invalid", field, message: `${field}: ${problem}`, hint });
}
