/** Which device of a run holds what: the one of everything, but for what is placed elsewhere. */
import { expect, test } from "vitest";
import { fittedTo, largestFitOf, type SizedDevice } from "../../../core/run/largest-fit.ts";
import { holdsConsumer, type PlacedDevice, placedDevices } from "../../../core/run/placement.ts";
import type { PhaseRecord } from "../../../core/run/records.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { SCHEDULED_CONSUMERS, WORKS } from "../../../core/schedule/works.ts";

const plain = { deviceName: "cuda:0", capacityBytes: 100, hasRewardModel: true };

test("with nothing placed, all lies on the run's own device", () => {
  expect(placedDevices(plain)).toEqual([
    { name: "cuda:0", capacityBytes: 100, holds: ["engine", "policy", "critic", "reference", "reward"] },
  ]);
  const [only] = placedDevices(plain);
  expect(SCHEDULED_CONSUMERS.filter((consumer) => only && !holdsConsumer(only, consumer))).toEqual([]);
});

test("the engine's device is the first, each has its capacity, and a rule that rewards lies nowhere", () => {
  const placement = { engine: "cuda:1", critic: "host", reward: "cuda:7" };
  const deviceCapacities = { host: 7 };
  expect(placedDevices({ ...plain, placement, deviceCapacities, hasRewardModel: false })).toEqual([
    { name: "cuda:1", capacityBytes: 100, holds: ["engine"] },
    { name: "cuda:0", capacityBytes: 100, holds: ["policy", "reference"] },
    { name: "host", capacityBytes: 7, holds: ["critic"] },
  ]);
});

test("a role takes its training along, the engine its cache, and scratch is wherever something is trained or scored", () => {
  const devices = placedDevices({ ...plain, placement: { engine: "cuda:1", critic: "host" } });
  const heldBy = (name: string) => {
    const device = devices.find((candidate) => candidate.name === name);
    return SCHEDULED_CONSUMERS.filter((consumer) => device && holdsConsumer(device, consumer));
  };
  expect(heldBy("cuda:1")).toEqual(["engine.weights", "engine.kv_cache", "workspace"]);
  expect(heldBy("host")).toEqual(["critic.weights", "critic.gradients", "critic.optimizer", "activations", "logits"]);
  expect(heldBy("cuda:0")).toEqual(
    expect.arrayContaining(["policy.optimizer", "reference.weights", "reward.weights", "activations", "logits"]),
  );
});

test("how far sizes could grow is asked of the devices that hold them", () => {
  const roles: Roles = { engine: "bf16", policy: "bf16", critic: "bf16", reference: "bf16", reward: "rule" };
  const schedule = buildSchedule(NO_STRATEGIES, roles);
  const peaks = { "cuda:1": 40, "cuda:0": 60 };
  const phases = WORKS.map((work): PhaseRecord => {
    const devices = { "cuda:1": { peakBytes: 40, holders: {} }, "cuda:0": { peakBytes: 60, holders: {} } };
    const times = { step: 1, startSeconds: 0, endSeconds: 1, workSeconds: 1, memorySeconds: 0 };
    return { ...times, work, peakBytes: 100, holders: {}, devices };
  });
  const sizing = {
    chunkBytes: 1,
    kvCache: { bytes: 10, bytesPerToken: 1, blockTokens: 1 },
    microBatch: 2,
    scratchBytes: (microBatch: number) => 5 * microBatch,
  };
  const sized = (capacities: readonly [engine: number, trainers: number]): readonly SizedDevice[] => [
    { name: "cuda:1", capacityBytes: capacities[0], holds: ["engine"], sizing },
    { name: "cuda:0", capacityBytes: capacities[1], holds: ["policy", "critic", "reference"], sizing },
  ];
  expect(largestFitOf(schedule, sized([50, 100]), phases)).toEqual({
    kvCacheBytes: 10 + (50 - peaks["cuda:1"]),
    kvCacheTokens: 20,
    microBatch: 2 + (100 - peaks["cuda:0"]) / 5,
  });
  const roomier: readonly PlacedDevice[] = [{ name: "cuda:1", capacityBytes: 90, holds: [] }];
  expect(largestFitOf(schedule, fittedTo(roomier, sized([50, 100])), phases)?.kvCacheTokens).toBe(60);
});
