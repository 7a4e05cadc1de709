/** Runs of the demo workload for the benches: opened, stepped and closed again, with a folder for what goes to disk. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { buildSchedule } from "../../core/schedule/build.ts";
import { type StrategySet, strategySetSchema } from "../../core/schedule/strategies.ts";
import { type StartedRun, startRun } from "../../electron/ppo/start-run.ts";
import { openWorkload, rolesOf, type Workload } from "../../electron/ppo/workload.ts";
import { readWorkload, type WorkloadSettings } from "../../electron/ppo/workload-settings.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";

const DEMO = resolve("assets/demo-ppo");

export type Strategies = Partial<StrategySet>;

/** What saves most and keeps every bit: `--strategies all`. */
export const ALL: Strategies = {
  releaseKvCache: true,
  swap: { method: "copy" },
  reference: "host",
  trainingMemoryOnlyWhileTraining: true,
  optimizerOnHost: true,
  singlePolicyCopy: "as_is",
};

/** @param reward by a model instead of the task's rule. */
export async function openDemo(reward: "rule" | "model", changes: Partial<WorkloadSettings> = {}): Promise<Workload> {
  const settings = await readWorkload(join(DEMO, "workload.json"));
  const roles = reward === "rule" ? settings.roles : { ...settings.roles, reward: join(DEMO, "reward") };
  return openWorkload({ ...settings, roles, ...changes });
}

export function scheduleOf(workload: Workload, strategies: Strategies) {
  return buildSchedule(strategySetSchema.parse(strategies), rolesOf(workload));
}

export const inFolder = async <T>(use: (folder: string) => Promise<T>): Promise<T> => {
  const folder = mkdtempSync(join(tmpdir(), "tideline-bench-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};

/** A run that stands before its first step. */
export function withRun<T>(
  workload: Workload,
  strategies: Strategies,
  use: (started: StartedRun) => Promise<T>,
  addon: TidelineAddon = loadAddon(),
): Promise<T> {
  return inFolder(async (directory) => {
    const { signal } = new AbortController();
    const schedule = scheduleOf(workload, strategies);
    const started = await startRun({ addon, workload, schedule, deviceName: "host", directory, signal });
    try {
      return await use(started);
    } finally {
      await started.backend.close();
    }
  });
}

/** So many steps more; throws when one of them fails. */
export async function step({ run }: StartedRun, steps: number): Promise<void> {
  const cursor = await run.go({ kind: "steps", steps });
  if (cursor.run.status === "failed") throw new Error(cursor.run.error.message);
}
