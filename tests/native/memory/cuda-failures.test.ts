/**
 * The CUDA backing over a double of the driver (../cuda-double): single calls fail at their worst moment, and afterwards nothing is half-made, nothing leaked, and the next attempt works. Real GPUs run the other files of this
 * folder with TIDELINE_DEVICE=cuda:0.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion } from "../../../native/addon.d.ts";
import { installCudaDouble, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { addon, failure } from "../support.ts";

const double = await installCudaDouble();
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

/** Chunks of 64, 32 and 16 MiB. */
const REGION_BYTES = 112 * MIB;

function failOnce(call: string, nth: number, result: number): void {
  double.arm({ call, nth, result });
}

/** What the driver has given out, by its own count; asked at most 20 times a second. */
async function driverBytes(device: NativeDevice): Promise<number> {
  await sleep(60);
  const { usedBytes, contextBytes } = device.observe();
  return usedBytes - contextBytes;
}

function open(bytes = REGION_BYTES): { readonly device: NativeDevice; readonly region: NativeRegion } {
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 512 * MIB });
  return { device, region: device.createRegion({ consumer: "engine.weights", tag: "weights", bytes }) };
}

test("the probe finds the device, its name and the driver's version", () => {
  expect(addon.probeDevices().at(-1)).toMatchObject({
    name: "cuda:0",
    description: "Double of a GPU",
    driverVersion: "12.4",
  });
});

test("a region takes the granularity's multiple above its size, in as few chunks as there are powers of two in that", async () => {
  const { device, region } = open(REGION_BYTES + 1);
  expect(device.observe().chunkBytes).toBe(2 * MIB);
  const before = double.counts().allocations;
  expect(await region.resume()).toMatchObject({ bytesCommitted: REGION_BYTES + 2 * MIB });
  expect(double.counts().allocations - before).toBe(4);
  await region.close();
});

test("chunks have one size where that is asked for, rounded up to the granularity", async () => {
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 512 * MIB, chunkBytes: 3 * MIB });
  expect(device.observe().chunkBytes).toBe(4 * MIB);
  const region = device.createRegion({ consumer: "workspace", tag: "workspace", bytes: 21 * MIB });
  const before = double.counts().allocations;
  expect(await region.resume()).toMatchObject({ bytesCommitted: 24 * MIB });
  expect(double.counts().allocations - before).toBe(6);
  await region.close();
});

test.each([
  ["cuMemCreate", 3, OUT_OF_MEMORY, "out_of_memory"],
  ["cuMemMap", 1, OUT_OF_MEMORY, "out_of_memory"],
  ["cuMemMap", 3, OUT_OF_MEMORY, "out_of_memory"],
  ["cuMemSetAccess", 1, OUT_OF_MEMORY, "out_of_memory"],
])("resume: %s number %i fails", async (call, nth, result, code) => {
  const { device, region } = open();
  const before = device.observe();
  failOnce(call, nth, result);
  expect(await failure(() => region.resume())).toMatchObject({ code });
  expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: 0, regions: before.regions });
  expect(await driverBytes(device)).toBe(0);
  await region.resume();
  await region.fill(1);
  expect(await driverBytes(device)).toBe(REGION_BYTES);
  await region.close();
  expect(await driverBytes(device)).toBe(0);
});

test.each([
  ["cuMemCreate", 1],
  ["cuMemMap", 4],
])("resume: held chunks are still held after %s number %i fails", async (call, nth) => {
  const { device, region } = open();
  await region.resume();
  await region.release({ mode: "discard", destination: "hold" });
  const larger = device.createRegion({ consumer: "policy.weights", tag: "weights", bytes: REGION_BYTES + 8 * MIB });
  failOnce(call, nth, OUT_OF_MEMORY);
  expect(await failure(() => larger.resume())).toMatchObject({ code: "out_of_memory" });
  expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: REGION_BYTES });
  expect(await driverBytes(device)).toBe(REGION_BYTES);
  await region.close();
  await larger.close();
  await device.close();
});

test("held chunks of other sizes give way, to the budget and to a card that others have filled", async () => {
  const { device, region } = open(96 * MIB);
  device.setCapacity(160 * MIB);
  const other = device.createRegion({ consumer: "policy.weights", tag: "weights", bytes: 128 * MIB });
  await region.resume();
  await region.release({ mode: "discard", destination: "hold" });
  await other.resume();
  expect(device.observe()).toMatchObject({ committedBytes: 128 * MIB, heldBytes: 0 });
  expect(await driverBytes(device)).toBe(128 * MIB);

  await other.release({ mode: "discard", destination: "hold" });
  device.setCapacity(512 * MIB);
  failOnce("cuMemCreate", 1, OUT_OF_MEMORY);
  await region.resume();
  expect(double.disarm()).toBe(true);
  expect(device.observe()).toMatchObject({ committedBytes: 96 * MIB, heldBytes: 0 });
  expect(await driverBytes(device)).toBe(96 * MIB);
  for (const opened of [region, other]) await opened.close();
  await device.close();
});

test("a while after much went back, what the driver has cleared is booked by a small creation that keeps nothing", async () => {
  const { device, region } = open(256 * MIB);
  await region.resume();
  double.arm({ call: "cuMemCreate", nth: Number.MAX_SAFE_INTEGER, result: OUT_OF_MEMORY });
  await region.release({ mode: "discard" });
  await expect.poll(() => double.calls(), { timeout: 30_000 }).toBe(1);
  // Not even where there is no memory for it.
  await region.resume();
  failOnce("cuMemCreate", 1, OUT_OF_MEMORY);
  await region.release({ mode: "discard" });
  await expect.poll(() => double.calls(), { timeout: 30_000 }).toBe(1);
  expect(double.disarm()).toBe(true);
  await region.close();
  await device.close();
});

test.each([1, 2, 3])("release: cuMemUnmap number %i fails, the region is mapped and intact", async (nth) => {
  const { device, region } = open();
  await region.resume();
  await region.fill(7);
  const checksum = await region.checksum();
  failOnce("cuMemUnmap", nth, OUT_OF_MEMORY);
  await failure(() => region.release({ mode: "discard" }));
  expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  expect(await region.checksum()).toBe(checksum);
  await region.release({ mode: "discard" });
  expect(await driverBytes(device)).toBe(0);
  await region.close();
});

test("a backup whose copy fails leaves the region resident; a restore that fails leaves it on the host", async () => {
  // Three pieces of a copy.
  const { device, region } = open(304 * MIB);
  await region.resume();
  await region.fill(9);
  const checksum = await region.checksum();
  failOnce("cuMemcpyDtoHAsync", 2, OUT_OF_MEMORY);
  await failure(() => region.release({ mode: "host" }));
  expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  expect(region.observe().backup).toBeUndefined();
  expect(device.observe().hostBackupBytes).toBe(0);
  expect(double.counts().registeredBuffers).toBe(0);
  await region.release({ mode: "host" });
  expect(device.observe().hostBackupBytes).toBe(304 * MIB);

  failOnce("cuMemcpyHtoDAsync", 3, OUT_OF_MEMORY);
  await failure(() => region.resume());
  expect(region.observe()).toMatchObject({ residency: "host", contents: "defined", backup: { clean: true } });
  expect(await driverBytes(device)).toBe(0);
  await region.resume();
  expect(await region.checksum()).toBe(checksum);

  // Half overwritten, what is left of the backup is none.
  await region.fill(10);
  const changed = await region.checksum();
  failOnce("cuMemcpyDtoHAsync", 2, OUT_OF_MEMORY);
  await failure(() => region.release({ mode: "host" }));
  expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  expect(region.observe().backup).toBeUndefined();
  await region.release({ mode: "host" });
  await region.resume();
  expect(await region.checksum()).toBe(changed);
  await region.close();
});

test.each([1, 3])(
  "memory whose piece number %i cannot be pinned fails the host backup, not the region",
  async (nth) => {
    const { device, region } = open(304 * MIB);
    await region.resume();
    await region.fill(9);
    failOnce("cuMemHostRegister", nth, OUT_OF_MEMORY);
    expect(await failure(() => region.prepareBackup())).toMatchObject({ code: "out_of_memory" });
    expect(device.observe().hostBackupBytes).toBe(0);
    failOnce("cuMemHostRegister", nth, OUT_OF_MEMORY);
    expect(await failure(() => region.release({ mode: "host" }))).toMatchObject({ code: "out_of_memory" });
    expect(device.observe().hostBackupBytes).toBe(0);
    expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
    await region.close();
  },
);

test("a driver that cannot be loaded is a problem in the probe and a typed error", async () => {
  process.env.TIDELINE_CUDA_DRIVER = "/nonexistent/libcuda.so";
  try {
    expect(addon.probeDevices().at(-1)).toMatchObject({
      name: "cuda",
      problem: expect.stringContaining("nonexistent"),
    });
    expect(await failure(open)).toMatchObject({ code: "device_unavailable", hint: expect.any(String) });
  } finally {
    process.env.TIDELINE_CUDA_DRIVER = double.driver;
  }
});
