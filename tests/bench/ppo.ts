/**
 * What PPO costs on the demo: a step and where its time goes, what each memory strategy saves and costs, what stepping and
 * recording cost against a bare loop, and the three ways of a hot swap on a model that fits no cache. Everything that is
 * compared alternates within this run.
 */

import { WORKS } from "../../core/schedule/works.ts";
import { GIB, MIB } from "../../core/units.ts";
import type { Workload } from "../../electron/ppo/workload.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import { openCheckpoint } from "../../electron/session/checkpoint.ts";
import type { SwapOptions } from "../../native/addon.d.ts";
import { withBothLoops } from "./bare-loop.ts";
import { ALL, inFolder, openDemo, type Strategies, step, withRun } from "./demo.ts";
import { writeLargeCheckpoint } from "./large-checkpoint.ts";
import { median, medianInterval, report } from "./report.ts";

/** The first step of a run takes memory for the first time. */
const WARM_UP_STEPS = 1;

/** Whose time is told work by work. */
const SPLIT = ["everything_resident", "all_strategies"];

await measureOverhead();
await measureStrategies();
await measureSwaps();

/** Pairs of short turns: the run with its cursor, records and sampler, and a loop that does the same without. */
async function measureOverhead(): Promise<void> {
  const PAIRS = 400;
  const STEPS = 2;
  const workload = await openDemo("rule");
  for (const [name, strategies] of Object.entries({ everything_resident: {}, all_strategies: ALL })) {
    const stepped: number[] = [];
    const bare: number[] = [];
    await withBothLoops(workload, strategies, async (loops) => {
      const runStepped = async () => stepped.push(await loops.stepped(STEPS));
      const runBare = async () => bare.push(await loops.bare(STEPS));
      for (let pair = 0; pair < PAIRS; pair += 1) {
        // Which one goes first alternates too.
        for (const run of pair % 2 === 0 ? [runBare, runStepped] : [runStepped, runBare]) await run();
      }
    });
    const costs = stepped.map((seconds, pair) => 100 * (seconds / (bare[pair] ?? Number.NaN) - 1));
    const settings = { steps: STEPS, rollouts: workload.settings.rollouts };
    report({ name: `ppo_bare_loop_${name}`, unit: "s per step", samples: bare, settings });
    report({
      name: `ppo_stepping_cost_${name}`,
      unit: "% of the step's time",
      samples: costs,
      interval: medianInterval(costs),
      ratio: { to: "the same works and actions in a bare loop, pair by pair", value: 1 + median(costs) / 100 },
      settings,
    });
  }
}

interface Leg {
  readonly stepSeconds: number;
  readonly memorySeconds: number;
  readonly peakBytes: number;
  readonly workSeconds: ReadonlyMap<string, number>;
}

/** Every strategy alone and all of them, in rounds that begin with the baseline. */
async function measureStrategies(): Promise<void> {
  const ROUNDS = 5;
  const STEPS = 6;
  const oneDtype = await openDemo("model");
  // A float32 policy beside a bfloat16 engine: what a cast both ways is for.
  const twoDtypes = await openDemo("model", { precision: { engine: "bf16" } });
  const groups: readonly (readonly [
    name: string,
    workload: Workload,
    strategies: Readonly<Record<string, Strategies>>,
  ])[] = [
    [
      "everything_resident",
      oneDtype,
      {
        release_kv_cache: { releaseKvCache: true },
        release_engine_weights: { releaseEngineWeights: true },
        swap_by_copy: { swap: { method: "copy" } },
        swap_by_share: { swap: { method: "share" } },
        reference_on_host: { reference: "host" },
        reference_on_disk: { reference: "disk" },
        reward_on_host: { reward: "host" },
        reward_on_disk: { reward: "disk" },
        training_memory_only_while_training: { trainingMemoryOnlyWhileTraining: true },
        optimizer_on_host: { optimizerOnHost: true },
        one_policy_copy: { singlePolicyCopy: "as_is", swap: { method: "copy" } },
        int8_reference_and_reward: { int8: { reference: true, reward: true } },
        all_strategies: { ...ALL, reward: "host" },
      },
    ],
    [
      "everything_resident_bf16_engine",
      twoDtypes,
      { one_policy_copy_cast: { singlePolicyCopy: "cast", swap: { method: "copy" } } },
    ],
  ];
  for (const [baseline, workload, strategies] of groups) {
    const legs = new Map<string, Leg[]>();
    const sets = Object.entries<Strategies>({ [baseline]: {}, ...strategies });
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const [name, set] of sets) legs.set(name, [...(legs.get(name) ?? []), await runLeg(workload, set, STEPS)]);
    }
    const without = legs.get(baseline) ?? [];
    for (const [name, own] of legs) reportStrategies(name, own, without);
    for (const name of SPLIT) reportSplit(name, legs.get(name) ?? []);
  }
}

function runLeg(workload: Workload, strategies: Strategies, steps: number): Promise<Leg> {
  return withRun(workload, strategies, async (started) => {
    await step(started, WARM_UP_STEPS);
    const startMs = performance.now();
    await step(started, steps);
    const stepSeconds = (performance.now() - startMs) / 1000 / steps;
    const records = started.run.records.steps.slice(WARM_UP_STEPS);
    const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / steps;
    const workSecondsOf = (work: string) =>
      mean(
        records
          .flatMap(({ phases }) => phases.filter((phase) => phase.work === work))
          .map((phase) => phase.workSeconds),
      );
    return {
      stepSeconds,
      memorySeconds: mean(records.map(({ memorySeconds }) => memorySeconds)),
      peakBytes: started.run.records.peakBytes,
      workSeconds: new Map(WORKS.map((work) => [work, workSecondsOf(work)])),
    };
  });
}

function reportStrategies(name: string, own: readonly Leg[], without: readonly Leg[]): void {
  const peaks = own.map(({ peakBytes }) => peakBytes / MIB);
  const slower = own.map(({ stepSeconds }, round) => stepSeconds / (without[round]?.stepSeconds ?? Number.NaN));
  report({
    name: `ppo_peak_${name}`,
    unit: "MiB",
    samples: peaks,
    ratio: {
      to: "everything resident",
      value: median(peaks) / median(without.map(({ peakBytes }) => peakBytes / MIB)),
    },
  });
  report({
    name: `ppo_step_${name}`,
    unit: "s",
    samples: own.map(({ stepSeconds }) => stepSeconds),
    ratio: { to: "everything resident, round by round", value: median(slower) },
  });
}

/** Where the time of a step goes: each work, and all memory actions. */
function reportSplit(name: string, legs: readonly Leg[]): void {
  if (legs.length === 0) return;
  const whole = median(legs.map(({ stepSeconds }) => stepSeconds));
  const part = (part: string, seconds: readonly number[]) =>
    report({
      name: `ppo_split_${name}_${part}`,
      unit: "ms per step",
      samples: seconds.map((value) => 1000 * value),
      ratio: { to: "the step", value: median(seconds) / whole },
    });
  for (const work of WORKS)
    part(
      work,
      legs.map(({ workSeconds }) => workSeconds.get(work) ?? Number.NaN),
    );
  part(
    "memory_actions",
    legs.map(({ memorySeconds }) => memorySeconds),
  );
}

/** An engine's weights from a model in memory, by the three methods. */
async function measureSwaps(): Promise<void> {
  const ROUNDS = 9;
  await inFolder(async (folder) => {
    await writeLargeCheckpoint(folder);
    const { config, dtype, tensors, parameters } = await openCheckpoint(folder);
    const addon = loadAddon();
    const device = addon.openDevice({ name: "host", capacityBytes: 3 * GIB });
    const create = (consumer: string) => addon.createModel(device, { config, dtype, consumer });
    const [weights, policy] = [create("engine.weights"), create("policy.weights")];
    await policy.load(tensors);
    await weights.copyFrom(policy);
    const engine = addon.createEngine(device, weights, { kvCacheBytes: 64 * MIB });
    const weightBytes = addon.weightBytes(config, dtype);
    const swap = async (how: Pick<SwapOptions, "method" | "bucketBytes">) => {
      const source = { kind: "model", model: policy } as const;
      return (await engine.swap({ source, running: "refuse", ...how })).milliseconds;
    };
    const methods: Readonly<Record<string, Pick<SwapOptions, "method" | "bucketBytes">>> = {
      copy: { method: "copy" },
      bucketed_512MiB: { method: "bucketed", bucketBytes: 512 * MIB },
      bucketed_16MiB: { method: "bucketed", bucketBytes: 16 * MIB },
      share: { method: "share" },
    };
    const milliseconds = new Map<string, number[]>(Object.keys(methods).map((name) => [name, []]));
    for (let round = 0; round <= ROUNDS; round += 1) {
      for (const [name, how] of Object.entries(methods)) {
        const took = await swap(how);
        // The first round warms up.
        if (round > 0) milliseconds.get(name)?.push(took);
      }
      // Sharing gave the engine's own memory back.
      await swap({ method: "copy" });
    }
    await engine.close();
    await policy.close();
    await device.close();
    const copyMs = median(milliseconds.get("copy") ?? []);
    for (const [name, samples] of milliseconds) {
      const settings = { parameters, weightMiB: weightBytes / MIB };
      const ratio = { to: "one device copy, interleaved", value: median(samples) / copyMs };
      report({ name: `swap_${name}`, unit: "ms", samples, ratio, settings });
      if (name === "share") continue;
      const speeds = samples.map((took) => weightBytes / 1e6 / took);
      report({ name: `swap_speed_${name}`, unit: "GB/s of weights", samples: speeds, settings });
    }
  });
}
