/** Figures of a GPU: measured here before the catalogue's, and what a person sets before both. */
import { expect, test } from "vitest";
import { embeddedOn, gpuOfDevice, plannedGpu } from "../../../core/planner/gpus/planned-gpu.ts";
import type { Plan, PlannedGpu } from "../../../core/planner/plan.ts";
import { presetNamed } from "../../../core/planner/presets.ts";
import { placementEdits } from "../../../core/planner/search/placement-edits.ts";
import { workloadEdits } from "../../../core/planner/search/workload-edits.ts";
import { GIB, MIB } from "../../../core/units.ts";

const LINK = {
  hostToDeviceBytesPerSecond: 51e9,
  deviceToHostBytesPerSecond: 52e9,
  memoryBytesPerSecond: 2.5e12,
  bytes: 256 * MIB,
  repetitions: 3,
};
const CARD = { description: "NVIDIA H100 80GB HBM3", totalBytes: 79 * GIB };

test("a card whose link was measured is planned with what was found", () => {
  const planned = gpuOfDevice({ ...CARD, link: LINK });
  if (planned === undefined) throw new Error("an H100 is in the catalogue");
  expect(plannedGpu(planned)).toMatchObject({
    name: "H100 SXM",
    hostToDeviceBytesPerSecond: { value: 51e9, provenance: "measured", source: expect.stringContaining("256 MiB") },
    deviceToHostBytesPerSecond: { value: 52e9, provenance: "measured" },
    memoryBytesPerSecond: { value: 2.5e12, provenance: "measured" },
  });
  expect(plannedGpu({ ...planned, memoryBytesPerSecond: 3e12 }).memoryBytesPerSecond).toMatchObject({
    value: 3e12,
    provenance: "chosen",
  });
});

test("one whose link was not has the catalogue's figures", () => {
  const planned = gpuOfDevice(CARD);
  expect(planned).toEqual({ name: "H100 SXM", totalBytes: 79 * GIB });
  expect(plannedGpu({ name: "H100 SXM" }).memoryBytesPerSecond.provenance).toBe("assumption");
});

test("what is sized for the host's small pieces has as many of a GPU's", () => {
  const demo = presetNamed("demo").plan.gpu;
  const { totalBytes, chunkBytes } = embeddedOn({ name: "H100" }, demo);
  expect(chunkBytes).toBe(2 * MIB);
  expect((totalBytes ?? 0) / (2 * MIB)).toBe((demo.totalBytes ?? 0) / (demo.chunkBytes ?? 0));
  expect(embeddedOn({ name: "host" }, demo)).toMatchObject({
    totalBytes: demo.totalBytes,
    chunkBytes: demo.chunkBytes,
  });
  // One that says nothing of pieces is taken at its word.
  expect(embeddedOn({ name: "H100" }, { totalBytes: 5 })).toEqual({ name: "H100", embedded: true, totalBytes: 5 });
});

test("a run of this program's on a card is changed in what its own engine can do, and never in what only PyTorch has", () => {
  const demo = presetNamed("demo").plan;
  const card = gpuOfDevice(CARD);
  if (card === undefined) throw new Error("an H100 is in the catalogue");
  const { totalBytes } = demo.gpu;
  const on = (gpu: PlannedGpu): Plan => ({ ...demo, gpu });
  const own = on(embeddedOn(card, { totalBytes: totalBytes ?? 0, chunkBytes: 2 * MIB }));
  expect(own.gpu).toEqual({ name: "H100 SXM", totalBytes, chunkBytes: 2 * MIB, embedded: true });
  const offered = (plan: Plan) =>
    [...workloadEdits(plan), ...placementEdits(plan)].filter(({ steps }) => steps.length > 0).map(({ field }) => field);
  expect(offered(own)).toEqual(offered(demo));
  expect(offered(on(card))).toContain("workload.engine.cudaGraphs");
});
