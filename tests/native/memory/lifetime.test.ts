/** Objects may be dropped in any order, and the environment may end at any moment, without a crash or a leak. */
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import { ADDON_FILE, createRegion, DEVICE_NAME, describeDevice, openDevice, systemUsedBytes } from "../support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

async function collect(): Promise<void> {
  for (let i = 0; i < 4; i++) {
    if (typeof collectGarbage === "function") collectGarbage();
    await sleep(10);
  }
}

describeDevice("lifetime", () => {
  test("regions that are dropped without close give their memory back", async () => {
    const device = openDevice(512 * MIB);
    await (async () => {
      const region = createRegion(device, "a", 256 * MIB);
      await region.resume();
      await region.fill(1);
    })();
    const before = await systemUsedBytes(device);
    await collect();
    expect(device.observe()).toMatchObject({ committedBytes: 0, regions: [] });
    expect(before - (await systemUsedBytes(device))).toBeGreaterThan(200 * MIB);
  });

  test("a region outlives its device's object, and an operation outlives both", async () => {
    const region = createRegion(openDevice(64 * MIB), "a", 32 * MIB);
    await collect();
    await region.resume();
    await region.fill(2);
    const checksum = await region.checksum();
    expect(checksum).toMatch(/^[0-9a-f]{8}$/);
    const pending = ((): Promise<string> => {
      const dropped = createRegion(openDevice(64 * MIB), "b", 32 * MIB);
      return dropped
        .resume()
        .then(() => dropped.fill(2))
        .then(() => dropped.checksum());
    })();
    await collect();
    expect(await pending).toBe(checksum);
    await region.close();
  });

  test("telemetry that is dropped without stop ends", async () => {
    const device = openDevice(64 * MIB);
    let batches = 0;
    device.startTelemetry({ hertz: 100, batchSeconds: 0.01 }, () => batches++);
    await collect();
    const after = batches;
    await sleep(100);
    expect(batches).toBe(after);
  });

  test.each(["mid-operation", "idle"])("a worker can end %s", async (when) => {
    const code = `
      const { workerData, parentPort } = require("node:worker_threads");
      const addon = require(workerData.file);
      const device = addon.openDevice({ name: workerData.device, capacityBytes: 1 << 30 });
      device.startTelemetry({ hertz: 1000, batchSeconds: 0.01 }, () => {});
      const region = device.createRegion({ consumer: "a", tag: "a", bytes: 1 << 29 });
      region.resume().then(() => region.fill(1)).then(() => {
        if (workerData.when === "idle") { parentPort.postMessage("ready"); return; }
        region.release({ mode: "host", onProgress: () => parentPort.postMessage("ready") }).catch(() => {});
      });
      setInterval(() => {}, 1000);
    `;
    const worker = new Worker(code, { eval: true, workerData: { file: ADDON_FILE, device: DEVICE_NAME, when } });
    await once(worker, "message");
    expect(await worker.terminate()).toBe(1);
  });
});
