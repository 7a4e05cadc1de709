/** Release gives memory back to the system, resume takes it again at the same address, and every refusal is typed. */
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion, ReleaseMode } from "../../../native/addon.d.ts";
import { createRegion, describeDevice, failure, openDevice, systemUsedBytes, withFolder } from "../support.ts";

const REGION_BYTES = 128 * MIB;
/** Node's own heap and the driver's bookkeeping move meanwhile. */
const SLACK_BYTES = 24 * MIB;

async function withRegion(use: (region: NativeRegion, device: NativeDevice) => Promise<void>): Promise<void> {
  const device = openDevice(4 * REGION_BYTES);
  const region = createRegion(device, "engine.kv_cache", REGION_BYTES);
  await use(region, device);
  await region.close();
  await device.close();
}

describeDevice("release and resume", () => {
  test("a new region holds addresses and no memory", () =>
    withRegion(async (region, device) => {
      const before = await systemUsedBytes(device);
      expect(region.observe()).toMatchObject({
        residency: "released",
        contents: "undefined",
        reservedBytes: REGION_BYTES,
        committedBytes: 0,
        usedBytes: 0,
      });
      await region.resume();
      expect((await systemUsedBytes(device)) - before).toBeGreaterThan(REGION_BYTES - SLACK_BYTES);
    }));

  test("release with return gives the memory back to the system; the address stays", () =>
    withRegion(async (region, device) => {
      await region.resume();
      await region.fill(1);
      const { address } = region.observe();
      const resident = await systemUsedBytes(device);
      const receipt = await region.release({ mode: "discard" });
      expect(resident - (await systemUsedBytes(device))).toBeGreaterThan(REGION_BYTES - SLACK_BYTES);
      expect(receipt).toMatchObject({
        action: "release",
        consumer: "engine.kv_cache",
        method: "discard",
        bytesFreed: REGION_BYTES,
        bytesRetained: 0,
        bytesCopied: 0,
      });
      expect(region.observe()).toMatchObject({
        residency: "released",
        contents: "undefined",
        committedBytes: 0,
        address,
      });
      expect(await region.resume()).toMatchObject({ method: "zero", bytesCommitted: REGION_BYTES, bytesCopied: 0 });
      expect(region.observe()).toMatchObject({ residency: "resident", contents: "undefined", address });
    }));

  test("held chunks stay with the process and serve the next region without new memory", () =>
    withRegion(async (region, device) => {
      await region.resume();
      await region.fill(1);
      const resident = await systemUsedBytes(device);
      expect(await region.release({ mode: "discard", destination: "hold" })).toMatchObject({
        bytesFreed: 0,
        bytesRetained: REGION_BYTES,
      });
      expect(Math.abs((await systemUsedBytes(device)) - resident)).toBeLessThan(SLACK_BYTES);
      expect(device.observe()).toMatchObject({
        heldBytes: REGION_BYTES,
        committedBytes: 0,
        freeBytes: 3 * REGION_BYTES,
      });

      const next = createRegion(device, "policy.weights", REGION_BYTES);
      await next.resume();
      expect(Math.abs((await systemUsedBytes(device)) - resident)).toBeLessThan(SLACK_BYTES);
      expect(device.observe()).toMatchObject({ heldBytes: 0, committedBytes: REGION_BYTES });
      expect(next.observe().contents).toBe("undefined");

      await next.release({ mode: "discard", destination: "hold" });
      expect(await device.trim()).toBe(REGION_BYTES);
      expect(resident - (await systemUsedBytes(device))).toBeGreaterThan(REGION_BYTES - SLACK_BYTES);
      await next.close();
    }));

  test("a region mapped from pieces of two others holds what is written to it", async () => {
    const device = openDevice(64 * MIB);
    const [a, b] = [createRegion(device, "a", 16 * MIB), createRegion(device, "b", 32 * MIB)];
    for (const region of [a, b]) await region.resume();
    for (const region of [b, a]) await region.release({ mode: "discard", destination: "hold" });
    const c = createRegion(device, "c", 40 * MIB);
    await c.resume();
    await c.fill(5);
    const checksum = await c.checksum();
    await a.resume(); // 8 MiB held, 8 MiB new
    await a.fill(6);
    expect(await c.checksum()).toBe(checksum);
    await c.release({ mode: "host" });
    await b.resume();
    await b.fill(7);
    await b.release({ mode: "discard", destination: "hold" });
    await c.resume();
    expect(await c.checksum()).toBe(checksum);
    for (const region of [a, b, c]) await region.close();
  });

  test("what was written is read back, and the pattern of a seed is always the same", () =>
    withRegion(async (region) => {
      await region.resume();
      await region.write(5 * MIB - 2, new Uint8Array([1, 2, 3, 4]));
      expect(await region.read(5 * MIB - 3, 6)).toEqual(expect.objectContaining({ 1: 1, 2: 2, 3: 3, 4: 4 }));
      await region.fill(3);
      const first = await region.checksum();
      await region.fill(4);
      expect(await region.checksum()).not.toBe(first);
      await region.fill(3);
      expect(await region.checksum()).toBe(first);
    }));

  test("sizes are rounded up to whole chunks", async () => {
    const device = openDevice(16 * MIB);
    const region = createRegion(device, "workspace", 2 * MIB + 1);
    expect(region.observe().reservedBytes).toBe(4 * MIB);
    await region.close();
  });
});

describeDevice("a copy on the device", () => {
  test("has the bytes of its source, and is no longer what was backed up", async () => {
    const device = openDevice(16 * MIB);
    const [source, target] = [createRegion(device, "source", 4 * MIB), createRegion(device, "target", 4 * MIB)];
    await source.resume();
    await target.resume();
    expect(await failure(() => target.copyFrom(source))).toMatchObject({ code: "contents_undefined" });
    await source.fill(3);
    await target.fill(4);
    await target.release({ mode: "host" });
    expect(await failure(() => target.copyFrom(source))).toMatchObject({ code: "not_resident" });
    await target.resume();

    expect(await target.copyFrom(source)).toMatchObject({ method: "copy", consumer: "target", bytesCopied: 4 * MIB });
    expect(await target.checksum()).toBe(await source.checksum());
    expect(target.observe().backup).toMatchObject({ clean: false });

    const smaller = createRegion(device, "smaller", 2 * MIB);
    await smaller.resume();
    for (const wrong of [target, smaller]) {
      expect(await failure(() => target.copyFrom(wrong))).toMatchObject({ code: "bad_argument", field: "source" });
    }
    for (const region of [source, target, smaller]) await region.close();
    await device.close();
  });
});

describeDevice("refusals change nothing", () => {
  const modes: readonly ReleaseMode[] = ["discard", "host", "disk", "clean"];
  test.each(modes)("releasing twice with %s", (mode) =>
    withFolder((directory) =>
      withRegion(async (region, device) => {
        const before = device.observe().committedBytes;
        expect(await failure(() => region.release({ mode, directory }))).toMatchObject({ code: "already_released" });
        expect(device.observe().committedBytes).toBe(before);
      }),
    ),
  );

  test("resuming what is resident", () =>
    withRegion(async (region) => {
      await region.resume();
      await region.fill(1);
      const before = region.observe();
      expect(await failure(() => region.resume())).toMatchObject({ code: "already_resident" });
      expect(region.observe()).toEqual(before);
    }));

  test("reading what is released, undefined or out of range", () =>
    withRegion(async (region) => {
      expect(await failure(() => region.read(0, 1))).toMatchObject({ code: "not_resident" });
      expect(await failure(() => region.write(0, new Uint8Array(1)))).toMatchObject({ code: "not_resident" });
      await region.resume();
      expect(await failure(() => region.read(0, 1))).toMatchObject({ code: "contents_undefined" });
      expect(await failure(() => region.checksum())).toMatchObject({ code: "contents_undefined" });
      expect(await failure(() => region.release({ mode: "host" }))).toMatchObject({ code: "contents_undefined" });
      await region.fill(1);
      expect(await failure(() => region.read(REGION_BYTES, 1))).toMatchObject({ code: "bad_argument" });
      expect(await failure(() => region.read(0, REGION_BYTES + 1))).toMatchObject({ code: "bad_argument" });
      expect(await failure(() => region.write(REGION_BYTES - 1, new Uint8Array(2)))).toMatchObject({
        code: "bad_argument",
      });
      expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
    }));

  test("anything after close, and closing a device with open regions", async () => {
    const device = openDevice(16 * MIB);
    const region = createRegion(device, "workspace", 4 * MIB);
    await region.resume();
    expect(await failure(() => device.close())).toMatchObject({ code: "busy" });
    await region.close();
    await region.close();
    expect(device.observe()).toMatchObject({ committedBytes: 0, regions: [] });
    expect(await failure(() => region.resume())).toMatchObject({ code: "bad_argument" });
    await device.close();
    expect(await failure(() => device.observe())).toMatchObject({ code: "bad_argument" });
  });
});
