/**
 * PPO on a GPU: what is learned is the host's, and every strategy moves device memory as it moves the host's, without changing
 * a bit of it. Then a session, as a window has it. On the GPU that TIDELINE_DEVICE names, or else on one that the double of
 * the driver plays, which runs the CUDA kernels' sources.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Receipt } from "../../../core/contract/vocabulary.ts";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import type { ActionRecord } from "../../../electron/ppo/records.ts";
import { startRun } from "../../../electron/ppo/start-run.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { eventually } from "../../eventually.ts";
import { tideline } from "../command.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, NOTHING } from "../cuda-double/cuda-double.ts";
import { demoWorkload, policyHash, REWARD_MODEL, scheduleOf, TOGETHER } from "../ppo/support.ts";
import { DEMO, GREEDY, openSession } from "../session/support.ts";
import { addon, CHUNK_BYTES, DEVICE_NAME, IS_EMULATED, IS_HOST, roomFor, testDevice } from "../support.ts";

const ON_CARD = !IS_HOST && !IS_EMULATED;
const GPU = ON_CARD ? DEVICE_NAME : "cuda:0";
const folder = mkdtempSync(join(tmpdir(), "tideline-runs-"));
let double: CudaDouble | undefined;
beforeAll(async () => {
  if (!ON_CARD) double = await installComputeDouble();
}, 300_000);
afterAll(() => {
  double?.remove();
  rmSync(folder, { recursive: true });
});

/** A step computes, and the next one generates with what it learned. */
const STEPS = 2;

async function run(deviceName: string, strategies: Partial<StrategySet>) {
  if (ON_CARD) testDevice();
  const { settings } = await demoWorkload();
  const small: Partial<WorkloadSettings> = {
    ...{ rollouts: 4, epochs: 1, miniBatches: 1 },
    roles: { ...settings.roles, reward: REWARD_MODEL },
    device: { capacityBytes: 256 * MIB, kvCacheBytes: MIB, chunkBytes: CHUNK_BYTES },
  };
  const workload = await demoWorkload(small);
  const actions: ActionRecord[] = [];
  const directory = join(folder, "backups");
  mkdirSync(directory, { recursive: true });
  const started = await startRun({
    ...{ addon, workload, schedule: scheduleOf(workload, strategies), deviceName, directory },
    signal: new AbortController().signal,
    onAction: (action) => actions.push(action),
  });
  onTestFinished(() => started.backend.close());
  const { run: state } = await started.run.go({ kind: "steps", steps: STEPS });
  expect(state).toEqual({ status: "paused", reason: { kind: "reached" } });
  const { steps } = started.run.records;
  return {
    statistics: steps.map(({ statistics }) => ({ ...statistics })),
    said: steps.flatMap(({ samples }) => samples.map(({ prompt, response }) => ({ prompt, response }))),
    holders: steps.flatMap(({ phases }) => phases.map(({ work, holders }) => ({ work, holders: sized(holders) }))),
    // What is prepared in the background is done when there is time for it.
    moved: actions
      .filter(({ origin }) => origin !== "ahead")
      .map(({ label, consumer, receipt }) => ({ label, moved: receipt && movedBy(consumer, receipt) })),
    hash: await policyHash(started),
  };
}

/** Where a Compute calculates, and so of another size on another device. */
const CALCULATED_IN: readonly string[] = ["workspace", "activations"];

function sized(holders: Readonly<Record<string, number>>): unknown {
  return Object.fromEntries(
    Object.entries(holders).map(([consumer, bytes]) => [consumer, CALCULATED_IN.includes(consumer) || bytes]),
  );
}

/** A receipt but for its time. */
function movedBy(consumer: string, { milliseconds: _, bytesCommitted, bytesFreed, ...receipt }: Receipt): unknown {
  return CALCULATED_IN.includes(consumer) ? receipt : { bytesCommitted, bytesFreed, ...receipt };
}

const EVERYTHING_RESIDENT = {};
/** All that strategies do to memory, in as few runs as they go together in. */
const STRATEGIES: Readonly<Record<string, Partial<StrategySet>>> = {
  "as many as go together": TOGETHER,
  "one copy of the weights": { swap: { method: "share" }, reference: "host", reward: "disk" },
  "small buckets into released weights": {
    ...{ releaseEngineWeights: true, releaseKvCache: true },
    swap: { method: "bucketed", bucketBytes: 8192 },
  },
};

describe("PPO", () => {
  let resident: Promise<Run> | undefined;
  /** Run by whichever test is the first to ask. */
  const everythingResident = (): Promise<Run> => {
    resident ??= run(GPU, EVERYTHING_RESIDENT);
    return resident;
  };

  test("with everything resident says, learns and holds what it does on the host", async () => {
    expectSame(await everythingResident(), await run("host", EVERYTHING_RESIDENT));
  }, 300_000);

  test.each(Object.keys(STRATEGIES))(
    "%s: moves what it does on the host, and changes no bit of what is learned",
    async (name) => {
      const strategies = STRATEGIES[name] ?? {};
      const moved = await run(GPU, strategies);
      expectSame(moved, await run("host", strategies));
      const { hash, statistics } = await everythingResident();
      expect(moved.hash).toBe(hash);
      expect(moved.statistics).toEqual(statistics);
    },
    300_000,
  );
});

type Run = Awaited<ReturnType<typeof run>>;

function expectSame(gpu: Run, host: Run): void {
  expect(gpu.said).toEqual(host.said);
  expect(gpu.moved).toEqual(host.moved);
  expect(gpu.holders).toEqual(host.holders);
  // Float32 sums of at most a vocabulary's 259 terms, in another order: 2^-24 of each.
  for (const [step, statistics] of host.statistics.entries()) {
    expect(gpu.statistics[step]).toEqual(
      Object.fromEntries(Object.entries(statistics).map(([name, value]) => [name, expect.closeTo(value, 5)])),
    );
  }
}

test("a session generates on it as on the host, and gives its memory up and takes it back", async () => {
  const { ask, events } = await openSession();
  const said = async (): Promise<string> => {
    const prompt = { kind: "text", text: "The quick" } as const;
    const { generation } = await ask("generate", { prompt, maxNewTokens: 6, sampling: GREEDY });
    return eventually(() => {
      const states = events.flatMap((event) => (event.event === "generation" ? event.generation : []));
      const last = states.findLast(({ id }) => id === generation);
      if (last?.finishedSeconds === undefined) throw new Error("not finished");
      return last.requests.map(({ text }) => text).join();
    });
  };
  const live = async (): Promise<readonly string[]> => {
    const heard: string[] = [];
    await ask("open_checkpoint", { path: DEMO });
    heard.push(await said());
    for (const [consumer, mode] of [
      ["engine.weights", "host"],
      ["engine.kv_cache", "discard"],
      ["engine.weights", "disk"],
    ] as const) {
      const { bytesFreed } = await ask("release", { consumer, mode });
      expect(bytesFreed).toBeGreaterThan(0);
      await ask("resume", { consumer });
      heard.push(await said());
    }
    await ask("load_model", { path: DEMO, role: "policy" });
    for (const method of ["copy", "bucketed", "share"] as const) {
      expect(await ask("swap", { source: { kind: "model", role: "policy" }, method })).toMatchObject({ method });
    }
    heard.push(await said());
    await ask("swap", { source: { kind: "checkpoint", path: DEMO } });
    await ask("unload_model", { role: "policy" });
    return heard;
  };
  await ask("configure", { device: "host" });
  const onHost = await live();
  const { device } = await ask("configure", { device: GPU, capacityBytes: roomFor(256 * MIB) });
  expect(device.name).toBe(GPU);
  expect(await live()).toEqual(onHost);
  await ask("configure", { device: "host" });
  // Nobody else has it either: the runs before closed their trainers.
  if (double !== undefined) expect(double.counts()).toEqual(NOTHING);
}, 300_000);

test("the command generates on it as on the host", () => {
  if (ON_CARD) testDevice();
  const args = ["generate", "--checkpoint", DEMO, "--prompt", "The tide", "--greedy", "--max-new", "8", "--json"];
  const [there, onHost] = [GPU, "host"].map((device) => JSON.parse(tideline(...args, "--device", device).out));
  expect(there.ids).toHaveLength(8);
  expect(there.text).toBe(onHost.text);
});
