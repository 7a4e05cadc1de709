/** The demo workload as tests run it: fewer rollouts, other settings, and the policy's weights as a hash. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { type StrategySet, strategySetSchema } from "../../../core/schedule/strategies.ts";
import type { RunListener } from "../../../electron/ppo/executor.ts";
import { type StartedRun, startRun } from "../../../electron/ppo/start-run.ts";
import { openWorkload, rolesOf, type Workload } from "../../../electron/ppo/workload.ts";
import { readWorkload, type WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { addon, CHUNK_BYTES, IS_HOST, roomFor, testDevice, withFolder } from "../support.ts";

const DEMO = resolve(import.meta.dirname, "../../../assets/demo-ppo");
export const REWARD_MODEL = join(DEMO, "reward");

/** Strategies that leave every bit of what is learned as it was, one by one. */
export const LOSSLESS: Readonly<Record<string, Partial<StrategySet>>> = {
  "release KV cache": { releaseKvCache: true },
  "release engine weights": { releaseEngineWeights: true },
  "swap by copy": { swap: { method: "copy" } },
  "swap by small buckets": { swap: { method: "bucketed", bucketBytes: 8192 } },
  "swap by share": { swap: { method: "share" } },
  "reference on host": { reference: "host" },
  "reference on disk": { reference: "disk" },
  "reward on host": { reward: "host" },
  "reward on disk": { reward: "disk" },
  "training memory only while training": { trainingMemoryOnlyWhileTraining: true },
  "optimizer on host": { optimizerOnHost: true },
  "optimizer streamed": { optimizerOnHost: true, optimizerStreamed: true },
  "one policy copy": { singlePolicyCopy: "as_is", swap: { method: "copy" } },
};
/** As many of them as go together. */
export const TOGETHER: Partial<StrategySet> = {
  releaseKvCache: true,
  swap: { method: "copy" },
  singlePolicyCopy: "as_is",
  reference: "disk",
  reward: "host",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
};

export async function demoWorkload(changes: Partial<WorkloadSettings> = {}): Promise<Workload> {
  const { device, ...settings } = await readWorkload(join(DEMO, "workload.json"));
  const room = { capacityBytes: roomFor(device.capacityBytes), chunkBytes: CHUNK_BYTES };
  return openWorkload({ ...settings, device: IS_HOST ? device : { ...device, ...room }, ...changes });
}

export function scheduleOf(workload: Workload, strategies: Parameters<typeof strategySetSchema.parse>[0]): Schedule {
  const set: StrategySet = strategySetSchema.parse(strategies);
  return buildSchedule(set, rolesOf(workload));
}

/** A run on the device to test, or on another one; closed when the test is over. */
export async function start(
  workload: Workload,
  schedule: Schedule,
  { deviceName = testDevice(), ...listener }: RunListener & { readonly deviceName?: string } = {},
): Promise<StartedRun> {
  const directory = await mkdtemp(join(tmpdir(), "tideline-"));
  const { signal } = new AbortController();
  const started = await startRun({ addon, workload, schedule, deviceName, directory, signal, ...listener });
  onTestFinished(() => started.backend.close());
  return started;
}

/** SHA-256 of the weights that a run saves. `atEnd`: nothing of it goes on then. */
export function policyHash({ run }: StartedRun, atEnd = false): Promise<string> {
  return withFolder(async (folder) => {
    const file = join(folder, "policy");
    const { signal } = new AbortController();
    const { path } = atEnd ? await run.saveAtEnd(file, signal) : await run.save(file, signal);
    return createHash("sha256")
      .update(await readFile(join(path, "model.safetensors")))
      .digest("hex");
  });
}
