/** Ten thousand cycles of release and resume leave a device and its process as a few did. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { ReleaseOptions } from "../../../native/addon.d.ts";
import { installCudaDouble, NOTHING } from "../cuda-double/cuda-double.ts";
import { addon, residentBytes } from "../support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

const double = await installCudaDouble();
afterAll(() => double.remove());

const CYCLES = 10_000;
const WARM_UP = 500;
/** Every kind in turn; the backup is clean after the first, and what it restores is what it read. */
const RELEASES: readonly ReleaseOptions[] = [
  { mode: "host", destination: "return" },
  { mode: "clean", destination: "hold" },
  { mode: "host", destination: "hold" },
  { mode: "clean", destination: "return" },
];

test.each(["host", "cuda:0"])("10,000 cycles on %s", { timeout: 300_000 }, async (name) => {
  const device = addon.openDevice({ name, capacityBytes: 64 * MIB, chunkBytes: 2 * MIB });
  const region = device.createRegion({ consumer: "engine.weights", tag: "weights", bytes: 2 * MIB });
  const plain = device.createRegion({ consumer: "engine.kv_cache", tag: "kv_cache", bytes: 4 * MIB });
  await region.resume();
  await region.fill(1);
  const checksum = await region.checksum();
  const measure = async () => {
    await device.trim();
    if (typeof collectGarbage === "function") collectGarbage();
    const { committedBytes, heldBytes, hostBackupBytes } = device.observe();
    return { taken: { committedBytes, heldBytes, hostBackupBytes, driver: double.counts() }, bytes: residentBytes() };
  };
  let before = await measure();
  for (let cycle = 0; cycle < CYCLES; cycle++) {
    if (cycle === WARM_UP) before = await measure();
    if (cycle % 10 === 0) await region.release(RELEASES[(cycle / 10) % RELEASES.length] ?? { mode: "host" });
    await plain.resume();
    await plain.release({ mode: "discard", destination: cycle % 2 === 0 ? "return" : "hold" });
    if (cycle % 10 === 0) await region.resume();
  }
  const after = await measure();
  expect(after.taken).toEqual(before.taken);
  // A page lost per cycle would be 37 MiB.
  expect(after.bytes - before.bytes).toBeLessThan(24 * MIB);
  expect(await region.checksum()).toBe(checksum);
  await region.close();
  await plain.close();
  await device.close();
  expect(double.counts()).toEqual(NOTHING);
});
