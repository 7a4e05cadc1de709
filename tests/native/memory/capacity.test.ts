/** Memory runs out as a GPU's does: typed, with who holds the rest, and with everything as it was before. */
import { expect, test } from "vitest";
import { GIB, MIB } from "../../../core/units.ts";
import { addon, CHUNK_BYTES, createRegion, DEVICE_NAME, describeDevice, failure, openDevice } from "../support.ts";

describeDevice("capacity", () => {
  test("resuming beyond it says what was asked, free and held by whom, and rolls back", async () => {
    const device = openDevice(64 * MIB);
    const weights = createRegion(device, "engine.weights", 32 * MIB);
    const cache = createRegion(device, "engine.kv_cache", 16 * MIB);
    const big = createRegion(device, "policy.weights", 32 * MIB);
    await weights.resume();
    await cache.resume();
    await cache.fill(1);
    const checksum = await cache.checksum();
    const before = device.observe();
    const error = await failure(() => big.resume());
    expect(error).toMatchObject({
      code: "out_of_memory",
      requestedBytes: 32 * MIB,
      freeBytes: 16 * MIB,
      capacityBytes: 64 * MIB,
      holders: [
        { consumer: "engine.weights", bytes: 32 * MIB },
        { consumer: "engine.kv_cache", bytes: 16 * MIB },
      ],
    });
    expect(error.hint).toContain("engine.weights");
    const after = device.observe();
    expect(after.regions).toEqual(before.regions);
    expect(after).toMatchObject({ committedBytes: 48 * MIB, heldBytes: 0, freeBytes: 16 * MIB });
    expect(await cache.checksum()).toBe(checksum);

    await weights.release({ mode: "discard", destination: "hold" });
    expect(await big.resume()).toMatchObject({ bytesCommitted: 32 * MIB });
    for (const region of [weights, cache, big]) await region.close();
    await device.close();
  });

  test("held chunks are a holder of their own, and are put back when the rest cannot be had", async () => {
    const device = openDevice(64 * MIB);
    const a = createRegion(device, "a", 16 * MIB);
    const b = createRegion(device, "b", 32 * MIB);
    const c = createRegion(device, "c", 48 * MIB);
    for (const region of [a, b]) await region.resume();
    await a.release({ mode: "discard", destination: "hold" });
    expect(await failure(() => c.resume())).toMatchObject({
      code: "out_of_memory",
      freeBytes: 16 * MIB,
      holders: [
        { consumer: "b", bytes: 32 * MIB },
        { consumer: "pool", bytes: 16 * MIB },
      ],
    });
    expect(device.observe()).toMatchObject({ committedBytes: 32 * MIB, heldBytes: 16 * MIB, freeBytes: 16 * MIB });
    for (const region of [a, b, c]) await region.close();
  });

  test("a capacity that the device does not have fails as memory running out, not as a crash", async () => {
    const device = openDevice(4096 * GIB, 64 * MIB);
    const region = createRegion(device, "engine.kv_cache", 4096 * GIB);
    const error = await failure(() => region.resume());
    expect(error).toMatchObject({ code: "out_of_memory", requestedBytes: 4096 * GIB });
    expect(error.freeBytes).toBeLessThan(4096 * GIB);
    expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: 0 });
    await region.close();
  });

  test("says who has taken it: regions of one consumer together, and what the pool keeps", async () => {
    const device = openDevice(64 * MIB);
    expect(device.holders()).toEqual([]);
    const regions = ["policy.weights", "policy.weights", "logits"].map((name) => createRegion(device, name, 4 * MIB));
    for (const region of regions) await region.resume();
    await regions[2]?.release({ mode: "discard", destination: "hold" });
    expect(device.holders()).toEqual([
      { consumer: "policy.weights", bytes: 8 * MIB },
      { consumer: "pool", bytes: 4 * MIB },
    ]);
    expect(device.usage()).toEqual({ committedBytes: 8 * MIB, heldBytes: 4 * MIB });
    for (const region of regions) await region.close();
  });

  test("it can be changed, not below what is committed; held chunks that do not fit are given back", async () => {
    const device = openDevice(64 * MIB);
    const a = createRegion(device, "a", 16 * MIB);
    const b = createRegion(device, "b", 32 * MIB);
    for (const region of [a, b]) await region.resume();
    await b.release({ mode: "discard", destination: "hold" });
    expect(await failure(() => device.setCapacity(16 * MIB - 1))).toMatchObject({ code: "bad_argument" });
    expect(device.observe()).toMatchObject({ capacityBytes: 64 * MIB, heldBytes: 32 * MIB });
    device.setCapacity(24 * MIB);
    expect(device.observe()).toMatchObject({
      capacityBytes: 24 * MIB,
      committedBytes: 16 * MIB,
      heldBytes: 8 * MIB,
      freeBytes: 0,
    });
    expect(await failure(() => b.resume())).toMatchObject({ code: "out_of_memory" });
    device.setCapacity(48 * MIB);
    await b.resume();
    for (const region of [a, b]) await region.close();
  });
});

describeDevice("arguments", () => {
  const device = { name: DEVICE_NAME, capacityBytes: 64 * MIB };
  const bad: readonly [string, () => unknown][] = [
    ["no options", () => Reflect.apply(addon.openDevice, addon, [])],
    ["no capacity", () => Reflect.apply(addon.openDevice, addon, [{ name: DEVICE_NAME }])],
    ["negative capacity", () => addon.openDevice({ ...device, capacityBytes: -1 })],
    ["capacity below one chunk", () => addon.openDevice({ ...device, capacityBytes: 1, chunkBytes: CHUNK_BYTES })],
    ["capacity that is not a number", () => addon.openDevice({ ...device, capacityBytes: Number.NaN })],
    ["fractional capacity", () => addon.openDevice({ ...device, capacityBytes: 1.5 * MIB + 0.5 })],
    ["capacity past 2^53", () => addon.openDevice({ ...device, capacityBytes: 2 ** 53 })],
    ["chunks of nothing", () => addon.openDevice({ ...device, chunkBytes: 0 })],
    ["a region of no bytes", () => createRegion(openDevice(64 * MIB), "a", 0)],
    ["a region past the address space", () => createRegion(openDevice(64 * MIB), "a", 2 ** 52)],
    ["a region without a consumer", () => createRegion(openDevice(64 * MIB), "", MIB)],
    [
      "a release without a mode",
      () =>
        Reflect.apply(
          createRegion(openDevice(64 * MIB), "a", MIB).release,
          createRegion(openDevice(64 * MIB), "a", MIB),
          [{}],
        ),
    ],
    ["a disk backup without a folder", () => createRegion(openDevice(64 * MIB), "a", MIB).release({ mode: "disk" })],
    ["telemetry too fast", () => openDevice(64 * MIB).startTelemetry({ hertz: 5000, batchSeconds: 1 }, () => {})],
  ];
  test.each(bad)("%s", async (_what, call) => {
    expect(await failure(call)).toMatchObject({ code: "bad_argument" });
  });

  test("a method borrowed for another object is refused", () => {
    const region = createRegion(openDevice(64 * MIB), "a", MIB);
    expect(() => Reflect.apply(region.observe, openDevice(64 * MIB), [])).toThrow();
    const make = Reflect.get(Object.getPrototypeOf(region), "constructor");
    expect(() => Reflect.construct(make, [])).toThrow();
    expect(() => Reflect.construct(make, [{}])).toThrow();
  });

  test("a device that does not exist", async () => {
    for (const name of ["cuda:999", "cuda:", "cuda:-1", "tpu"]) {
      expect(await failure(() => addon.openDevice({ name, capacityBytes: GIB }))).toMatchObject({
        code: "device_unavailable",
      });
    }
  });
});
