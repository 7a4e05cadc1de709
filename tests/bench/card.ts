/** What the benches of a card share: devices and weights to measure with, and ratios to what the driver's own copies reach. */
import { closeSync, mkdtempSync, openSync, rmSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../../core/checkpoint/config.ts";
import { configNamed } from "../../core/planner/models/catalogue.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { NativeDevice, NativeModel, Receipt } from "../../native/addon.d.ts";

export const addon = loadAddon();

/** 15 GiB in bfloat16. */
export const LLAMA_3_8B = parseConfig(JSON.stringify(configNamed("Llama-3-8B")), "Llama-3-8B");

/** Why the bench cannot run here, in words. */
export function problemOf(name: string): string | undefined {
  const probe = addon.probeDevices().find((candidate) => candidate.name === name);
  return probe === undefined ? `there is no ${name}` : probe.problem;
}

export async function withDevice(
  name: string,
  capacityBytes: number,
  use: (device: NativeDevice) => Promise<void>,
): Promise<void> {
  const device = addon.openDevice({ name, capacityBytes });
  await use(device);
  await device.close();
}

/** Every tensor from the first bytes of one sparse file: what is in them does not matter here. */
export async function loadZeros(model: NativeModel): Promise<Receipt> {
  const folder = mkdtempSync(join(tmpdir(), "tideline-bench-"));
  const file = join(folder, "zeros");
  const views = model.tensors();
  closeSync(openSync(file, "w"));
  truncateSync(file, Math.max(...views.map(({ bytes }) => bytes)));
  const tensors = views.map(({ name, dtype, shape, bytes }) => ({ name, dtype, shape, file, offset: 0, bytes }));
  try {
    return await model.load(tensors);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The first one warms up. */
export async function repeat<Result>(times: number, once: () => Promise<Result>): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (let repetition = 0; repetition <= times; repetition += 1) results.push(await once());
  return results.slice(1);
}

/** The part of the driver's own rate that so many bytes in so long are. */
export function ofDriver(
  bytes: number,
  milliseconds: number,
  gigabytesPerSecond: number,
): { readonly to: string; readonly value: number } {
  return { to: "the driver's own copies, GB/s", value: bytes / 1e6 / milliseconds / gigabytesPerSecond };
}
