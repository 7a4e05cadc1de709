/** The GPU of a plan: the catalogue's figures, with those in their place that the plan gives. */
import { TidelineError } from "../../errors.ts";
import { inPiecesOfGpu } from "../../gpu-pieces.ts";
import type { LinkMeasurement } from "../../link-measurement.ts";
import { formatBytes } from "../../units.ts";
import type { PlannedGpu } from "../plan.ts";
import type { Figure } from "../provenance.ts";
import { GPUS, type Gpu, HOST } from "./catalogue.ts";

const CHOSEN = "set in the plan";
const chosen = (value: number): Figure => ({ value, provenance: "chosen", source: CHOSEN });

/** Whether this program's engine and trainers compute there, not servers and trainers on PyTorch. */
/** Who carries a plan out: the embedded engine, or servers and trainers on PyTorch. */
export type Backend = "embedded" | "launcher";

export function isEmbedded({ name, embedded }: PlannedGpu): boolean {
  return name === HOST || embedded === true;
}

/** The card as this program's engine uses it, under a capacity and in pieces of a size where they are given. */
export function embeddedOn(card: PlannedGpu, sizes: Pick<PlannedGpu, "totalBytes" | "chunkBytes">): PlannedGpu {
  const { totalBytes, chunkBytes } = sizes;
  const pieces = chunkBytes === undefined ? {} : { chunkBytes };
  if (totalBytes === undefined) return { ...card, embedded: true, ...pieces };
  const own = { capacityBytes: totalBytes, ...pieces };
  const { capacityBytes, ...others } = card.name === HOST ? own : inPiecesOfGpu(own);
  return { ...card, embedded: true, totalBytes: capacityBytes, ...others };
}

/** @throws TidelineError `plan_invalid` with the field, for a name that is not in the catalogue. */
export function plannedGpu(planned: PlannedGpu): Gpu {
  const { totalBytes, memoryBytesPerSecond, hostToDeviceBytesPerSecond, deviceToHostBytesPerSecond } = planned;
  const known = planned.name === HOST ? hostDevice(planned) : gpuNamed(planned.name);
  return {
    ...known,
    ...(planned.measured !== undefined && measuredFigures(planned.measured)),
    ...(totalBytes !== undefined && { totalBytes: chosen(totalBytes) }),
    ...(memoryBytesPerSecond !== undefined && { memoryBytesPerSecond: chosen(memoryBytesPerSecond) }),
    ...(hostToDeviceBytesPerSecond !== undefined && { hostToDeviceBytesPerSecond: chosen(hostToDeviceBytesPerSecond) }),
    ...(deviceToHostBytesPerSecond !== undefined && { deviceToHostBytesPerSecond: chosen(deviceToHostBytesPerSecond) }),
  };
}

function measuredFigures({ bytes, repetitions, ...rates }: LinkMeasurement) {
  const source = `measured here with ${formatBytes(bytes)}, the fastest of ${repetitions}`;
  const measured = (value: number): Figure => ({ value, provenance: "measured", source });
  return {
    memoryBytesPerSecond: measured(rates.memoryBytesPerSecond),
    hostToDeviceBytesPerSecond: measured(rates.hostToDeviceBytesPerSecond),
    deviceToHostBytesPerSecond: measured(rates.deviceToHostBytesPerSecond),
  };
}

/**
 * A card by its name or by a part of it: "H100" is the first of the catalogue that has it in its name.
 * @throws TidelineError `plan_invalid` that lists the catalogue.
 */
export function gpuNamed(name: string): Gpu {
  const asked = key(name);
  const found =
    GPUS.find((gpu) => key(gpu.name) === asked) ??
    GPUS.find((gpu) => asked.length >= SHORTEST_PART && key(gpu.name).includes(asked));
  if (found !== undefined) return found;
  throw new TidelineError({
    code: "plan_invalid",
    field: "gpu.name",
    message: `gpu.name: there is no "${name}" in the catalogue`,
    hint: `allowed: ${[...GPUS.map((gpu) => gpu.name), HOST].join(", ")}`,
  });
}

/** "4090" and "L40S" are known by so much. */
const SHORTEST_PART = 4;

/**
 * The catalogue's card that a driver describes ("NVIDIA H100 80GB HBM3"), with the driver's own total and what was
 * measured of it; undefined for one that is not in it.
 */
export function gpuOfDevice(device: {
  readonly description: string;
  readonly totalBytes: number;
  readonly link?: LinkMeasurement | undefined;
}): PlannedGpu | undefined {
  const words = key(device.description);
  const found = DRIVER_NAMES.find(([pattern]) => pattern.test(words));
  if (found === undefined) return undefined;
  const { totalBytes, link } = device;
  return { name: found[1], totalBytes, ...(link !== undefined && { measured: link }) };
}

/** Of `key`, the special before the general. */
const DRIVER_NAMES: readonly (readonly [RegExp, string])[] = [
  [/h100.*pcie/, "H100 PCIe"],
  [/h100.*hbm3/, "H100 SXM"],
  [/h200/, "H200"],
  [/b200/, "B200"],
  [/a100.*pcie.*80gb/, "A100 80GB PCIe"],
  [/a100.*80gb/, "A100 80GB SXM"],
  [/a100.*40gb/, "A100 40GB"],
  [/l40s/, "L40S"],
  [/rtx4090/, "RTX 4090"],
  [/rtx3090/, "RTX 3090"],
  [/rtx5090/, "RTX 5090"],
  [/rtxpro6000blackwell/, "RTX PRO 6000 Blackwell"],
  [/rtx6000ada/, "RTX 6000 Ada"],
];

/** "h100sxm": how people write a name differs. */
function key(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** This machine's memory has no size of its own here: the capacity is the person's. */
function hostDevice({ totalBytes }: PlannedGpu): Gpu {
  if (totalBytes === undefined) {
    throw new TidelineError({
      code: "plan_invalid",
      field: "gpu.totalBytes",
      message: "gpu.totalBytes: is missing, and the host device has no size of its own",
      hint: "give the capacity that it may take",
    });
  }
  const assumed = (value: number, source: string): Figure => ({ value, provenance: "assumption", source });
  const copies = assumed(10e9, "one copy through a core's caches");
  return {
    name: HOST,
    totalBytes: chosen(totalBytes),
    smiBytes: chosen(totalBytes),
    memoryBytesPerSecond: assumed(30e9, "two channels of memory"),
    hostToDeviceBytesPerSecond: copies,
    deviceToHostBytesPerSecond: copies,
    peerBytesPerSecond: copies,
    flopsPerSecond: assumed(250e9, "two cores with vector instructions"),
    float32FlopsPerSecond: assumed(250e9, "two cores with vector instructions"),
    multiprocessors: 1,
    cublasBytes: 0,
  };
}
