/** What is kept of a run: who held its peaks, also those within an action, and a bounded part of a long one. */
import { expect, test } from "vitest";
import type { Item } from "../../../core/schedule/schedule.ts";
import type { RecordedDevice } from "../../../electron/ppo/device-peaks.ts";
import { type ActionRecord, RunRecords } from "../../../electron/ppo/records.ts";
import type { Holder } from "../../../native/addon.d.ts";

const ROLLOUT: Item = { kind: "work", index: 0, phase: 0, work: "rollout" };

/** A device that holds this now. */
function deviceWith(name: string, holders: () => readonly Holder[]): RecordedDevice {
  const bytesOf = (isIt: (consumer: string) => boolean) =>
    holders().reduce((sum, { consumer, bytes }) => sum + (isIt(consumer) ? bytes : 0), 0);
  const usage = () => ({
    committedBytes: bytesOf((consumer) => consumer !== "pool"),
    heldBytes: bytesOf((consumer) => consumer === "pool"),
  });
  return { name, usage, holders };
}

/** Of a run on one device. */
const recordsOf = (holders: () => readonly Holder[]) => new RunRecords({ devices: [deviceWith("host", holders)] });

function swapThrough(bucketBytes: number, origin: ActionRecord["origin"]): ActionRecord {
  return {
    step: 0,
    work: "rollout",
    origin,
    kind: "swap",
    label: "swap",
    consumer: "engine.weights",
    startSeconds: 10,
    endSeconds: 11,
    receipt: {
      action: "swap",
      consumer: "engine.weights",
      method: "bucketed",
      bytesFreed: bucketBytes,
      bytesRetained: 0,
      bytesCommitted: bucketBytes,
      bytesCopied: 0,
      milliseconds: 1000,
    },
  };
}

test("the holders of a peak add up to it, what the pool keeps included", () => {
  const pool: Holder = { consumer: "pool", bytes: 5 };
  let held: readonly Holder[] = [{ consumer: "workspace", bytes: 30 }, pool];
  const records = recordsOf(() => held);
  records.enter(0, ROLLOUT);
  expect(records.phases).toMatchObject([{ peakBytes: 35, holders: { workspace: 30, pool: 5 } }]);
  held = [{ consumer: "engine.kv_cache", bytes: 100 }, pool];
  records.addAction(swapThrough(0, "schedule"));
  records.leave();
  held = [pool];
  records.addAction(swapThrough(0, "schedule"));
  records.leave();
  expect(records.phases).toMatchObject([{ peakBytes: 105, holders: { "engine.kv_cache": 100, pool: 5 } }]);
});

test("what an action took for its length only is part of the peak, and the workspace's", () => {
  const records = recordsOf(() => [{ consumer: "engine.weights", bytes: 100 }]);
  records.enter(0, ROLLOUT);
  records.addAction(swapThrough(64, "schedule"));
  expect(records.phases).toMatchObject([
    { peakBytes: 164, holders: { "engine.weights": 100, workspace: 64 }, memorySeconds: 1 },
  ]);
});

test("what is done by hand raises the run's peak, and is no cost of a phase", () => {
  const records = recordsOf(() => [{ consumer: "engine.weights", bytes: 100 }]);
  records.enter(0, ROLLOUT);
  records.addAction(swapThrough(64, "by_hand"));
  expect(records.phases).toMatchObject([{ peakBytes: 100, memorySeconds: 0 }]);
  expect(records.measurement()).toMatchObject({ peakBytes: 164 });
});

test("host memory that is taken ahead, while an action is under way, counts no memory of a device twice", () => {
  let bytes = 100;
  const records = recordsOf(() => [{ consumer: "engine.weights", bytes }]);
  records.enter(0, ROLLOUT);
  // The swap has its bucket by now, and is not over.
  bytes = 164;
  records.addAction({ ...swapThrough(0, "ahead"), kind: "prepare" });
  bytes = 100;
  records.addAction(swapThrough(64, "schedule"));
  records.leave();
  expect(records.phases).toMatchObject([{ peakBytes: 164 }]);
  expect(records.measurement()).toMatchObject({ peakBytes: 164 });
});

test("of a long run the newest steps are kept, the samples of fifty and the actions of five", () => {
  const records = recordsOf(() => []);
  const sample = { prompt: "1+1=", response: "2", reward: 1 };
  for (let step = 0; step < 2100; step++) {
    records.enter(step, ROLLOUT);
    records.addWork(2);
    records.addAction(swapThrough(1, "schedule"));
    const told = records.completeStep(step, undefined, [sample]);
    expect(told.samples).toEqual([sample]);
  }
  const { steps } = records;
  expect([steps.length, steps[0]?.step, steps.at(-1)?.step]).toEqual([2000, 100, 2099]);
  expect(steps.findIndex(({ samples }) => samples.length > 0)).toBe(1950);
  expect(steps.findIndex(({ actions }) => actions.length > 0)).toBe(1995);
  expect(records.measurement()).toMatchObject({ steps: 2100, stepSeconds: 3, memorySeconds: 1 });
});

test("a sample raises the phase that it fell into, also when that phase's step is complete by then", () => {
  const records = recordsOf(() => [{ consumer: "engine.weights", bytes: 100 }]);
  records.enter(0, ROLLOUT);
  const began = records.phases[0]?.startSeconds ?? 0;
  const sampled = (committedBytes: number) => ({
    consumers: ["engine.weights"],
    rows: 1,
    dropped: 0,
    samples: Float64Array.of(began + 1, 0, 0, 0, 0, 5, committedBytes, committedBytes, 0),
  });
  records.addSamples(sampled(20));
  expect(records.phases).toMatchObject([{ peakBytes: 100, holders: { "engine.weights": 100 } }]);
  records.addSamples(sampled(200));
  expect(records.phases).toMatchObject([{ peakBytes: 205, holders: { "engine.weights": 200, pool: 5 } }]);
  const { steps } = records;
  records.completeStep(0, undefined, []);
  records.addSamples(sampled(300));
  expect(steps).toMatchObject([
    { peakBytes: 305, phases: [{ peakBytes: 305, holders: { "engine.weights": 300, pool: 5 } }] },
  ]);
  expect(records.peakBytes).toBe(305);
});

test("of several devices each has its own peaks, and a step's are what all of them have to have together", () => {
  const SCORE: Item = { kind: "work", index: 1, phase: 1, work: "score_policy" };
  let [engine, policy] = [100, 40];
  const records = new RunRecords({
    devices: [
      deviceWith("cuda:1", () => [{ consumer: "engine.weights", bytes: engine }]),
      deviceWith("cuda:0", () => [{ consumer: "policy.weights", bytes: policy }]),
    ],
    deviceOf: (consumer) => (consumer === "engine.weights" ? "cuda:1" : "cuda:0"),
  });
  records.enter(0, ROLLOUT);
  // The bucket lies where the engine does.
  records.addAction(swapThrough(64, "schedule"));
  records.leave();
  [engine, policy] = [10, 70];
  records.addAction(swapThrough(0, "schedule"));
  records.enter(0, SCORE);
  records.leave();
  expect(records.phases).toMatchObject([
    {
      peakBytes: 164 + 70,
      holders: { "engine.weights": 100, workspace: 64, "policy.weights": 70 },
      devices: {
        "cuda:1": { peakBytes: 164, holders: { "engine.weights": 100, workspace: 64 } },
        "cuda:0": { peakBytes: 70, holders: { "policy.weights": 70 } },
      },
    },
    { peakBytes: 80, devices: { "cuda:1": { peakBytes: 10 }, "cuda:0": { peakBytes: 70 } } },
  ]);
  const { startSeconds = 0 } = records.phases[1] ?? {};
  expect(records.completeStep(0, undefined, [])).toMatchObject({ peakBytes: 164 + 70 });
  const samples = Float64Array.of(startSeconds + 1, 0, 0, 0, 0, 0, 200, 200, 200);
  records.addSamples({ consumers: ["critic.weights"], rows: 1, dropped: 0, samples }, "cuda:0");
  expect(records.steps).toMatchObject([
    { peakBytes: 164 + 200, phases: [{}, { devices: { "cuda:1": { peakBytes: 10 }, "cuda:0": { peakBytes: 200 } } }] },
  ]);
  expect(records.measurement()).toMatchObject({ peakBytes: 364, devicePeakBytes: { "cuda:1": 164, "cuda:0": 200 } });
});
