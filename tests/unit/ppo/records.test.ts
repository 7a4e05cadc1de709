/** What is kept of a run: who held its peaks, also those within an action, and a bounded part of a long one. */
import { expect, test } from "vitest";
import type { Item } from "../../../core/schedule/schedule.ts";
import type { ScheduledConsumer } from "../../../core/schedule/works.ts";
import { type ActionRecord, RunRecords } from "../../../electron/ppo/records.ts";
import type { DeviceObservation } from "../../../native/addon.d.ts";

const ROLLOUT: Item = { kind: "work", index: 0, phase: 0, work: "rollout" };

interface Held {
  pool: number;
  regions: readonly (readonly [ScheduledConsumer, number])[];
}

/** A device that holds what the test says. */
function deviceWith(held: Held) {
  return (): DeviceObservation => ({
    name: "host",
    description: "",
    capacityBytes: 1000,
    chunkBytes: 1,
    committedBytes: held.regions.reduce((sum, [, bytes]) => sum + bytes, 0),
    heldBytes: held.pool,
    freeBytes: 0,
    contextBytes: 0,
    usedBytes: 0,
    totalBytes: 1000,
    hostBackupBytes: 0,
    regions: held.regions.map(([consumer, committedBytes]) => ({
      consumer,
      tag: "weights",
      residency: "resident",
      contents: "defined",
      reservedBytes: committedBytes,
      committedBytes,
      usedBytes: committedBytes,
      address: "0x0",
    })),
  });
}

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

test("the holders of a peak add up to it, regions of one name and what the pool keeps included", () => {
  const held: Held = {
    pool: 5,
    regions: [
      ["workspace", 10],
      ["workspace", 20],
      ["logits", 0],
    ],
  };
  const records = new RunRecords(deviceWith(held));
  records.enter(0, ROLLOUT);
  expect(records.phases).toMatchObject([{ peakBytes: 35, holders: { workspace: 30, pool: 5 } }]);
  held.regions = [["engine.kv_cache", 100]];
  records.addAction(swapThrough(0, "schedule"));
  records.leave();
  held.regions = [];
  records.addAction(swapThrough(0, "schedule"));
  records.leave();
  expect(records.phases).toMatchObject([{ peakBytes: 105, holders: { "engine.kv_cache": 100, pool: 5 } }]);
});

test("what an action took for its length only is part of the peak, and the workspace's", () => {
  const records = new RunRecords(deviceWith({ pool: 0, regions: [["engine.weights", 100]] }));
  records.enter(0, ROLLOUT);
  records.addAction(swapThrough(64, "schedule"));
  expect(records.phases).toMatchObject([
    { peakBytes: 164, holders: { "engine.weights": 100, workspace: 64 }, memorySeconds: 1 },
  ]);
});

test("what is done by hand raises the run's peak, and is no cost of a phase", () => {
  const records = new RunRecords(deviceWith({ pool: 0, regions: [["engine.weights", 100]] }));
  records.enter(0, ROLLOUT);
  records.addAction(swapThrough(64, "by_hand"));
  expect(records.phases).toMatchObject([{ peakBytes: 100, memorySeconds: 0 }]);
  expect(records.measurement()).toMatchObject({ peakBytes: 164 });
});

test("of a long run the newest steps are kept, and the samples and actions of the last fifty", () => {
  const records = new RunRecords(deviceWith({ pool: 0, regions: [] }));
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
  const detailed = steps.filter(({ samples, actions }) => samples.length > 0 && actions.length > 0);
  expect([detailed.length, detailed[0]?.step]).toEqual([50, 2050]);
  expect(records.measurement()).toMatchObject({ steps: 2100, stepSeconds: 3, memorySeconds: 1 });
});
