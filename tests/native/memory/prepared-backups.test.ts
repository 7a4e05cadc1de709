/** Host memory for a backup is taken ahead of it, beside everything else that a region does, and is whole or not there. */
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion } from "../../../native/addon.d.ts";
import { addon, createRegion, describeDevice, failure, openDevice } from "../support.ts";

/** More than one piece of what is taken at a time. */
const REGION_BYTES = 144 * MIB;

async function withRegion(use: (region: NativeRegion, device: NativeDevice) => Promise<void>): Promise<void> {
  const device = openDevice(2 * REGION_BYTES);
  const region = createRegion(device, "policy.optimizer", REGION_BYTES);
  await use(region, device);
  await region.close();
  expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: 0, hostBackupBytes: 0 });
  await device.close();
}

describeDevice("prepared backups", () => {
  test("memory is taken once, before there is anything to keep, and the backup that comes later lies in it", () =>
    withRegion(async (region, device) => {
      expect(await region.prepareBackup()).toMatchObject({
        action: "prepare",
        consumer: "policy.optimizer",
        method: "host",
        bytesPrepared: REGION_BYTES,
        bytesCommitted: 0,
        bytesCopied: 0,
      });
      expect(device.observe()).toMatchObject({ committedBytes: 0, hostBackupBytes: REGION_BYTES });
      expect(region.observe()).toMatchObject({ residency: "released" });
      expect(region.observe().backup).toBeUndefined();
      expect(await region.prepareBackup()).toMatchObject({ bytesPrepared: 0 });

      await region.resume();
      await region.fill(3);
      const checksum = await region.checksum();
      expect(await region.release({ mode: "host" })).toMatchObject({ method: "host", bytesCopied: REGION_BYTES });
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES);
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
      // As that of any backup, it goes with the contents.
      await region.release({ mode: "discard" });
      expect(device.observe().hostBackupBytes).toBe(0);
    }));

  test("the region is used and released while it is prepared", () =>
    withRegion(async (region, device) => {
      await region.resume();
      await region.fill(5);
      const checksum = await region.checksum();
      const preparing = region.prepareBackup();
      const released = region.release({ mode: "host" });
      expect(await released).toMatchObject({ method: "host", bytesCopied: REGION_BYTES });
      await preparing;
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES);
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
    }));

  test("one that is cancelled keeps nothing, and the next one works", () =>
    withRegion(async (region, device) => {
      const cancellation = addon.createCancellation();
      cancellation.cancel();
      expect(await failure(() => region.prepareBackup({ cancellation }))).toMatchObject({ code: "cancelled" });
      expect(device.observe().hostBackupBytes).toBe(0);
      await region.prepareBackup();
      // Neither a refusal nor what is cancelled later takes away what was there.
      expect(await failure(() => region.release({ mode: "host" }))).toMatchObject({ code: "already_released" });
      await region.prepareBackup({ cancellation });
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES);
    }));

  test("closing the region ends it", () =>
    withRegion(async (region) => {
      const preparing = region.prepareBackup().then(
        () => "done",
        (error: unknown) => error,
      );
      await region.close();
      // Done when closing came too late for it.
      const outcome = await preparing;
      if (outcome !== "done") expect(outcome).toMatchObject({ code: "cancelled" });
      expect(await failure(() => region.prepareBackup())).toMatchObject({ code: "cancelled" });
    }));

  test("all regions of a consumer are prepared by its name", () =>
    withRegion(async (_, device) => {
      const more = createRegion(device, "policy.optimizer", 4 * MIB);
      const other = createRegion(device, "critic.optimizer", 4 * MIB);
      const progress: number[] = [];
      const receipt = await device.prepareBackups("policy.optimizer", { onProgress: (done) => progress.push(done) });
      expect(receipt).toMatchObject({ action: "prepare", bytesPrepared: REGION_BYTES + 4 * MIB });
      expect(progress.length).toBeGreaterThan(0);
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES + 4 * MIB);
      expect(await failure(() => device.prepareBackups("engine.weights"))).toMatchObject({ code: "not_found" });
      for (const region of [more, other]) await region.close();
    }));
});
