/** `plan --gpu this`: the machine's own card, with what was measured of it, and a word where nothing was. */
import { expect, it } from "vitest";
import type { LinkMeasurement } from "../../../core/link-measurement.ts";
import { thisGpu } from "../../../electron/cli/plan/this-gpu.ts";

const HOST = { name: "host", description: "AMD EPYC, 23.5 GiB", totalBytes: 2 ** 34, freeBytes: 2 ** 34 };
const CARD = { name: "cuda:1", description: "NVIDIA H100 80GB HBM3", totalBytes: 85e9, freeBytes: 85e9 };
const LINK: LinkMeasurement = {
  hostToDeviceBytesPerSecond: 54e9,
  deviceToHostBytesPerSecond: 53e9,
  memoryBytesPerSecond: 2.6e12,
  bytes: 2 ** 28,
  repetitions: 3,
};

it("plans with what was measured of the card", () => {
  const linkOf = ({ name }: { readonly name: string }) => (name === CARD.name ? LINK : undefined);
  expect(thisGpu([HOST, CARD], { linkOf })).toEqual({
    gpu: { name: "H100 SXM", totalBytes: CARD.totalBytes, measured: LINK },
  });
});

it("says that nothing was measured, and the command that measures", () => {
  const { gpu, note } = thisGpu([HOST, CARD], { linkOf: () => undefined });
  expect(gpu).toEqual({ name: "H100 SXM", totalBytes: CARD.totalBytes });
  expect(note).toContain("tideline measure-device --device cuda:1");
});

it("names what there is where no card can be planned with", () => {
  const broken = { ...CARD, problem: "the driver is older than the card" };
  expect(() => thisGpu([HOST, broken], { linkOf: () => undefined })).toThrow(
    "no card of the catalogue here: host (AMD EPYC, 23.5 GiB), cuda:1 (the driver is older than the card)",
  );
});
