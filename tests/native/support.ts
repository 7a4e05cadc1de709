/**
 * The real addon for native tests. TIDELINE_ADDON names another build of it (sanitizers), TIDELINE_DEVICE another
 * device (`cuda:0`): whoever asks for `testDevice` then runs there. Where that device is missing they are skipped, and say so.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, TestRunner } from "vitest";
import { MIB } from "../../core/units.ts";
import type { NativeDevice, NativeRegion, TidelineAddon } from "../../native/addon.d.ts";

export const ADDON_FILE = resolve(
  process.env.TIDELINE_ADDON ?? join(import.meta.dirname, "../../native/build/Release/tideline.node"),
);
export const DEVICE_NAME = process.env.TIDELINE_DEVICE ?? "host";
export const IS_HOST = DEVICE_NAME === "host";
/** A GPU that the double of the driver plays (cuda-double/compute): its kernels run some hundred times slower. */
export const IS_EMULATED = !IS_HOST && process.env.TIDELINE_CUDA_DRIVER !== undefined;
/** A chunk size that every device takes as it is. */
export const CHUNK_BYTES = 2 * MIB;

export const addon: TidelineAddon = createRequire(import.meta.url)(ADDON_FILE);

const probes = addon.probeDevices();
const probe = probes.find((device) => device.name === DEVICE_NAME);
const missing = probe === undefined ? "not found" : probe.problem;

/** Two GPUs in this machine to test on; what no GPU can be told, such as to fail, is left to two that the double plays. */
export const HAS_TWO_CARDS =
  !IS_HOST &&
  !IS_EMULATED &&
  ["cuda:0", "cuda:1"].every((name) => probes.some((device) => device.name === name && device.problem === undefined));
/** For the name of a test that is skipped there. */
export const UNTELLABLE = HAS_TWO_CARDS ? " (skipped: real GPUs cannot be told to fail or to lose their link)" : "";

declare module "vitest" {
  interface TaskMeta {
    /** What a skipped test lacks: tests/run.mjs says it at the end. */
    lacks?: string;
  }
}

/** The device to test on. Where it cannot be used, the test that asks is skipped there and then. */
export function testDevice(): string {
  const test = TestRunner.getCurrentTest();
  if (missing !== undefined && test !== undefined) {
    test.meta.lacks = `${DEVICE_NAME}: ${missing}`;
    test.context.skip(test.meta.lacks);
  }
  return DEVICE_NAME;
}

/**
 * Capacity for what takes so much on the host. On a GPU chunks are larger, and each engine and each scratch has a part for
 * cuBLAS and for sums besides.
 */
export function roomFor(hostBytes: number): number {
  return IS_HOST ? hostBytes : hostBytes + 512 * MIB;
}

/** `describe` for tests of the device, reported as skipped where it cannot be used. */
export function describeDevice(name: string, tests: () => void): void {
  if (missing === undefined) describe(`${name} on ${DEVICE_NAME}`, tests);
  else describe.skip(`${name} (skipped: ${DEVICE_NAME}: ${missing})`, tests);
}

export function openDevice(capacityBytes: number, chunkBytes = CHUNK_BYTES): NativeDevice {
  return addon.openDevice({ name: testDevice(), capacityBytes, chunkBytes });
}

export function createRegion(device: NativeDevice, consumer: string, bytes: number): NativeRegion {
  return device.createRegion({ consumer, tag: consumer, bytes });
}

/** Resident set of this process as the kernel counts it, read here and not by the addon. */
export function residentBytes(): number {
  const pages = Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
  return pages * 4096;
}

/** What the system says is used: our own reading on the host, the driver's (asked at most 20 times a second) on a GPU. */
export async function systemUsedBytes(device: NativeDevice): Promise<number> {
  if (IS_HOST) return residentBytes();
  await sleep(60);
  return device.observe().usedBytes;
}

/**
 * Float32 sums of the same `terms`: the same bits on the host, which adds in one order whatever the batch is. For another
 * batch a GPU may add in another (compute.h).
 */
export function expectSameSums(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  terms: number,
  what?: string,
): void {
  if (IS_HOST) expect(actual, what).toEqual(expected);
  else expectReorderedSums(actual, expected, terms, what);
}

/** Float32 sums of the same `terms` in another order: each addition rounds by up to 2^-24 of what it adds. */
export function expectReorderedSums(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  terms: number,
  what?: string,
): void {
  expect(actual.length, what).toBe(expected.length);
  const difference = Math.hypot(...Array.from(expected, (value, at) => value - (actual[at] ?? Number.NaN)));
  expect(difference, what).toBeLessThanOrEqual(terms * 2 ** -24 * Math.hypot(...Array.from(expected)));
}

/** The own properties of the error that `action` fails with; the test fails when it does not. */
export async function failure(action: () => unknown): Promise<Readonly<Record<string, unknown>>> {
  try {
    await action();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    return error instanceof Error ? { ...error, message: error.message } : {};
  }
  expect.fail("it should have failed");
}

/** A folder that is gone after `use`. */
export async function withFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tideline-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
