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

const double = installCudaDouble();
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

const REGION_BYTES = 96 * MIB;

function failOnce(call: string, nth: number, result: number): void {
  double.arm({ call, nth, result });
}

/** What the driver has given out, by its own count; asked at most 20 times a second. */
async function driverBytes(device: NativeDevice): Promise<number> {
  await sleep(60);
  const { usedBytes, contextBytes } = device.observe();
  return usedBytes - contextBytes;
}

function open(): { readonly device: NativeDevice; readonly region: NativeRegion } {
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 512 * MIB });
  return { device, region: device.createRegion({ consumer: "engine.weights", tag: "weights", bytes: REGION_BYTES }) };
}

test("the probe finds the device, its name and the driver's version", () => {
  expect(addon.probeDevices().at(-1)).toMatchObject({
    name: "cuda:0",
    description: "Double of a GPU",
    driverVersion: "12.4",
  });
});

test("chunks are 32 MiB unless asked otherwise, and rounded up to the granularity", () => {
  expect(open().device.observe().chunkBytes).toBe(32 * MIB);
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 512 * MIB, chunkBytes: 3 * MIB });
  expect(device.observe().chunkBytes).toBe(4 * MIB);
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
  const larger = device.createRegion({ consumer: "policy.weights", tag: "weights", bytes: REGION_BYTES + 32 * MIB });
  failOnce(call, nth, OUT_OF_MEMORY);
  expect(await failure(() => larger.resume())).toMatchObject({ code: "out_of_memory" });
  expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: REGION_BYTES });
  expect(await driverBytes(device)).toBe(REGION_BYTES);
  await region.close();
  await larger.close();
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
  const { device, region } = open();
  await region.resume();
  await region.fill(9);
  const checksum = await region.checksum();
  failOnce("cuMemcpyDtoHAsync", 2, OUT_OF_MEMORY);
  await failure(() => region.release({ mode: "host" }));
  expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  expect(region.observe().backup).toBeUndefined();
  await region.release({ mode: "host" });

  failOnce("cuMemcpyHtoDAsync", 3, OUT_OF_MEMORY);
  await failure(() => region.resume());
  expect(region.observe()).toMatchObject({ residency: "host", contents: "defined", backup: { clean: true } });
  expect(await driverBytes(device)).toBe(0);
  await region.resume();
  expect(await region.checksum()).toBe(checksum);
  await region.close();
});

test("memory that cannot be pinned fails the host backup, not the region", async () => {
  const { device, region } = open();
  await region.resume();
  await region.fill(9);
  failOnce("cuMemHostRegister", 1, OUT_OF_MEMORY);
  expect(await failure(() => region.release({ mode: "host" }))).toMatchObject({ code: "out_of_memory" });
  expect(device.observe().hostBackupBytes).toBe(0);
  expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
  await region.close();
});

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
