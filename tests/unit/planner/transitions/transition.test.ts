/** Seconds of memory actions, against what was measured on an H100 by others' tools and ours. */
import { describe, expect, it } from "vitest";
import { gpuNamed } from "../../../../core/planner/gpus/planned-gpu.ts";
import { sumOf } from "../../../../core/planner/provenance.ts";
import { ratesOf } from "../../../../core/planner/transitions/rates.ts";
import { transitionOf } from "../../../../core/planner/transitions/transition.ts";
import type { ConsumerMemory, MemoryState } from "../../../../core/schedule/residency.ts";
import type { Action } from "../../../../core/schedule/schedule.ts";
import { SCHEDULED_CONSUMERS } from "../../../../core/schedule/works.ts";
import { GIB } from "../../../../core/units.ts";

const RESIDENT: ConsumerMemory = { residency: "resident", contents: "defined" };

function stateWith(changes: Partial<MemoryState>): MemoryState {
  const all = Object.fromEntries(SCHEDULED_CONSUMERS.map((consumer) => [consumer, RESIDENT]));
  return { ...(all as MemoryState), ...changes };
}

function transition(action: Action, changes: Partial<MemoryState> = {}, gpu = "H100 SXM", peerShare = 0) {
  const rates = ratesOf(gpuNamed(gpu));
  return transitionOf(action, { state: stateWith(changes), bytesOf: () => 16 * GIB, rates, peerShare });
}

const milliseconds = (...parameters: Parameters<typeof transition>) => 1000 * sumOf(transition(...parameters).seconds);

describe("16 GiB on an H100, as torch_memory_saver took in 64 MiB tensors", () => {
  it.each<readonly [string, Action, Partial<MemoryState>, number, number]>([
    ["pause without backup", { kind: "release", consumer: "engine.weights", destination: "return" }, {}, 22.8, 26.1],
    [
      "resume without backup",
      { kind: "resume", consumer: "engine.weights" },
      { "engine.weights": { residency: "released", contents: "undefined" } },
      18.3,
      20.0,
    ],
    ["pause into a retained backup", { kind: "offload", consumer: "policy.optimizer", to: "host" }, {}, 323, 352],
    [
      "resume from it",
      { kind: "load", consumer: "policy.optimizer" },
      { "policy.optimizer": { residency: "host", contents: "defined" } },
      316,
      384,
    ],
  ])("%s", (_, action, changes, least, most) => {
    const took = milliseconds(action, changes);
    expect(took).toBeGreaterThanOrEqual(least);
    expect(took).toBeLessThanOrEqual(most);
  });

  it("copies on the device at 1.50 TB/s", () => {
    const copy: Action = { kind: "swap", from: "policy.weights", method: "copy" };
    expect(milliseconds(copy)).toBeCloseTo((16 * GIB) / 1.5e9, 1);
  });
});

describe("what needs nothing costs nothing", () => {
  it("an offload of what its backup still holds copies nothing", () => {
    const offload: Action = { kind: "offload", consumer: "reference.weights", to: "host" };
    const clean: ConsumerMemory = { ...RESIDENT, backup: { where: "host", clean: true } };
    expect(transition(offload, { "reference.weights": clean }).copiedBytes).toBe(0);
    const dirty: ConsumerMemory = { ...RESIDENT, backup: { where: "host", clean: false } };
    expect(transition(offload, { "reference.weights": dirty }).copiedBytes).toBe(16 * GIB);
    const elsewhere: ConsumerMemory = { ...RESIDENT, backup: { where: "disk", clean: true } };
    expect(transition(offload, { "reference.weights": elsewhere }).copiedBytes).toBe(16 * GIB);
  });

  it("an engine that shares already has nothing to give up", () => {
    const share: Action = { kind: "swap", from: "policy.weights", method: "share" };
    const shared: ConsumerMemory = { residency: "shared", contents: "defined" };
    expect(milliseconds(share, { "engine.weights": shared })).toBe(0);
  });
});

it("buckets cost both copies and their handing over, and weights in shards are fetched first", () => {
  const copy: Action = { kind: "swap", from: "policy.weights", method: "copy" };
  const bucketed: Action = { kind: "swap", from: "policy.weights", method: "bucketed", bucketBytes: GIB };
  expect(transition(bucketed).copiedBytes).toBe(32 * GIB);
  expect(milliseconds(bucketed)).toBeCloseTo(2 * milliseconds(copy) + 16 * 20, 6);
  const fetched = milliseconds(copy, {}, "H100 SXM", 0.75) - milliseconds(copy);
  expect(fetched).toBeCloseTo((0.75 * 16 * GIB) / 450e6, 6);
});

it("says what was measured and what was carried over from another card", () => {
  const offload: Action = { kind: "offload", consumer: "policy.optimizer", to: "host" };
  const reasons = (gpu: string) => transition(offload, {}, gpu).seconds.map(({ provenance }) => provenance);
  expect(reasons("H100 SXM")).toEqual(["measured", "measured"]);
  expect(reasons("RTX 4090")).toEqual(["assumption", "assumption"]);
});
