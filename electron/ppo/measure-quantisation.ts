/**
 * Measures what int8 weights change before a run begins: the rollouts of its first step, scored by each quantised role and
 * by the same role in the precision of its checkpoint. On a device object of its own, so that nothing of it counts against
 * the run's capacity; one model at a time.
 */
import { changeOf, type QuantisedRole } from "../../core/run/quantisation.ts";
import type { Roles } from "../../core/schedule/schedule.ts";
import type { LongOperation, NativeDevice, TidelineAddon } from "../../native/addon.d.ts";
import { cancellationOf } from "../session/cancellation.ts";
import type { Progress, Rollout } from "./backend.ts";
import { using } from "./closing.ts";
import { collectRollouts } from "./collect-rollouts.ts";
import { finite } from "./finite.ts";
import { loadInto, NativeModels, type NativeRole } from "./native-models.ts";
import { responseRows, rewardRow, rolloutRequests } from "./rollouts.ts";
import { requireSameReward, rolesOf, type Workload } from "./workload.ts";

export interface MeasureQuantisationOptions {
  readonly addon: TidelineAddon;
  readonly workload: Workload;
  /** As the schedule has them. */
  readonly roles: Roles;
  /** The run's own. */
  readonly deviceName: string;
  readonly signal: AbortSignal;
  /** Of each model that is loaded, one after the other. */
  readonly progress?: Progress;
}

/** @throws TidelineError `cancelled`, `not_finite`, of requireSameReward; the addon's errors. */
export async function measureQuantisation(options: MeasureQuantisationOptions): Promise<readonly QuantisedRole[]> {
  const { addon, workload, roles, deviceName } = options;
  requireSameReward(roles, workload);
  const quantised = (["reference", "reward"] as const).filter((role) => roles[role] === "int8");
  if (quantised.length === 0) return [];
  const { capacityBytes, chunkBytes } = workload.settings.device;
  const free = addon.probeDevices().find(({ name }) => name === deviceName);
  const device = addon.openDevice({
    name: deviceName,
    capacityBytes: Math.max(capacityBytes, free?.freeBytes ?? 0),
    ...(chunkBytes !== undefined && { chunkBytes }),
  });
  return using(device, async () => {
    const rollouts = await withModels(options, device, roles, (models, operation) =>
      firstRollouts(options, models, operation),
    );
    const results: QuantisedRole[] = [];
    for (const role of quantised) {
      const score = (precisions: Roles) =>
        withModels(options, device, precisions, (models, operation) =>
          scored(models, models.role(role), rollouts, operation),
        );
      const [float, int8] = [await score(rolesOf(workload)), await score(roles)];
      results.push({
        role,
        floatBytes: float.weightBytes,
        int8Bytes: int8.weightBytes,
        changes: changesOf(workload, float, int8),
      });
    }
    return results;
  });
}

async function firstRollouts(
  { workload, signal }: MeasureQuantisationOptions,
  models: NativeModels,
  operation: LongOperation,
): Promise<readonly Rollout[]> {
  await models.loadEngine("copy", operation);
  for (const consumer of ["engine.kv_cache", "workspace"] as const) await models.memoryOf(consumer).resume(operation);
  const stopTokenIds = workload.checkpoints.policy.config.eosTokenIds;
  return collectRollouts(models.engine, rolloutRequests(workload, 0), stopTokenIds, signal);
}

interface Scored {
  readonly weightBytes: number;
  /** Of the tokens of each response, or of the whole sequence. */
  readonly rows: readonly (readonly number[])[];
  readonly quantity: "logprobs" | "rewards";
}

async function scored(
  models: NativeModels,
  role: NativeRole,
  rollouts: readonly Rollout[],
  operation: LongOperation,
): Promise<Scored> {
  const { name, model, trainer } = role;
  await loadInto(role, undefined, operation);
  for (const consumer of ["activations", "logits"] as const) await models.memoryOf(consumer).resume(operation);
  const weightBytes = model.observe().committedBytes;
  if (name === "reward") {
    const values = await trainer.values(rollouts.map(rewardRow), operation);
    return {
      weightBytes,
      quantity: "rewards",
      rows: values.map((row) => [...finite(row, "rewards of the reward model")]),
    };
  }
  const scores = await trainer.scoreTokens(rollouts.map(responseRows), operation);
  const rows = scores.map(({ logprobs }) => [...finite(logprobs, "log-probs of the reference")]);
  return { weightBytes, quantity: "logprobs", rows };
}

/** The reference's log-probs are part of the reward: the penalty for leaving it. */
function changesOf({ settings }: Workload, float: Scored, int8: Scored): QuantisedRole["changes"] {
  const change = changeOf(float.quantity, float.rows.flat(), int8.rows.flat());
  if (float.quantity === "rewards") return [change];
  const penalties = ({ rows }: Scored) =>
    rows.map((row) => settings.klCoefficient * row.reduce((sum, logprob) => sum + logprob, 0));
  return [change, changeOf("rewards", penalties(float), penalties(int8))];
}

/** Models of some precisions, which are gone again afterwards. */
async function withModels<T>(
  { addon, workload, signal, progress }: MeasureQuantisationOptions,
  device: NativeDevice,
  roles: Roles,
  use: (models: NativeModels, operation: LongOperation) => Promise<T>,
): Promise<T> {
  const models = await NativeModels.open({ addon, deviceOf: () => device, workload, roles });
  const told = progress !== undefined && { onProgress: progress };
  return using(models, () => use(models, { cancellation: cancellationOf(addon, signal), ...told }));
}
