/** Backups bring back the same bytes, or say what is wrong with them and leave the region as it was. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdir, open, truncate, unlink } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion } from "../../../native/addon.d.ts";
import {
  addon,
  createRegion,
  describeDevice,
  failure,
  IS_HOST,
  openDevice,
  systemUsedBytes,
  withFolder,
} from "../support.ts";

const REGION_BYTES = 48 * MIB;

async function withFilled(
  use: (region: NativeRegion, folder: string, device: NativeDevice) => Promise<void>,
  bytes = REGION_BYTES,
): Promise<void> {
  await withFolder(async (folder) => {
    const device = openDevice(2 * bytes);
    const region = createRegion(device, "reference.weights", bytes);
    await region.resume();
    await region.fill(42);
    await use(region, folder, device);
    await region.close();
    expect(readdirSync(folder)).toEqual([]);
    expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: 0, hostBackupBytes: 0 });
    await device.close();
  });
}

function backupFile(region: NativeRegion): string {
  const file = region.observe().backup?.file;
  return file ?? expect.fail("there is no backup file");
}

async function flipByte(file: string, position: number): Promise<void> {
  const handle = await open(file, "r+");
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  await handle.write(Buffer.from([byte.readUInt8(0) ^ 0x10]), 0, 1, position);
  await handle.close();
}

describeDevice("backups", () => {
  test.each(["host", "disk"] as const)("%s: the same bytes come back, and the second release copies nothing", (mode) =>
    withFilled(async (region, directory) => {
      const checksum = await region.checksum();
      const { address } = region.observe();
      expect(await region.release({ mode, directory })).toMatchObject({
        method: mode,
        bytesCopied: REGION_BYTES,
        bytesFreed: REGION_BYTES,
      });
      expect(region.observe()).toMatchObject({
        residency: mode,
        contents: "defined",
        committedBytes: 0,
        address,
        backup: { where: mode, bytes: REGION_BYTES, clean: true },
      });
      expect(await region.resume()).toMatchObject({ method: mode, bytesCopied: REGION_BYTES });
      expect(await region.checksum()).toBe(checksum);
      expect(region.observe().backup?.clean).toBe(true);

      for (const again of [mode, "clean"] as const) {
        expect(await region.release({ mode: again, directory })).toMatchObject({ method: "clean", bytesCopied: 0 });
        expect(region.observe().residency).toBe(mode);
        await region.resume();
        expect(await region.checksum()).toBe(checksum);
      }

      await region.write(7, new Uint8Array([1]));
      expect(region.observe().backup?.clean).toBe(false);
      expect(await failure(() => region.release({ mode: "clean" }))).toMatchObject({ code: "not_clean" });
      expect(region.observe().residency).toBe("resident");
      const changed = await region.checksum();
      expect(await region.release({ mode, directory })).toMatchObject({ method: mode, bytesCopied: REGION_BYTES });
      await region.resume();
      expect(await region.checksum()).toBe(changed);
    }),
  );

  test("a host backup is counted, kept for the next one, and dropped by discard", () =>
    withFilled(async (region, _folder, device) => {
      await region.release({ mode: "host" });
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES);
      await region.resume();
      await region.fill(43);
      await region.release({ mode: "host" });
      expect(device.observe().hostBackupBytes).toBe(REGION_BYTES);
      await region.resume();
      await region.release({ mode: "discard" });
      expect(device.observe().hostBackupBytes).toBe(0);
      expect(region.observe().backup).toBeUndefined();
    }));

  test("moving a backup from host to disk frees the host memory, and back deletes the file", () =>
    withFilled(async (region, directory, device) => {
      const checksum = await region.checksum();
      await region.release({ mode: "host" });
      await region.resume();
      expect(await region.release({ mode: "disk", directory })).toMatchObject({ method: "disk" });
      expect(device.observe().hostBackupBytes).toBe(0);
      await region.resume();
      expect(await region.release({ mode: "host" })).toMatchObject({ method: "host" });
      expect(readdirSync(directory)).toEqual([]);
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
    }));

  test("clean without any backup is refused", () =>
    withFilled(async (region) => {
      expect(await failure(() => region.release({ mode: "clean" }))).toMatchObject({ code: "not_clean" });
      expect(region.observe().residency).toBe("resident");
    }));
});

describeDevice("damaged disk backups", () => {
  const damages: readonly [string, string, (file: string) => Promise<void>][] = [
    ["a flipped data byte", "backup_corrupt", (file) => flipByte(file, 20 * MIB)],
    ["a flipped byte of the checksum table", "backup_corrupt", (file) => flipByte(file, 42)],
    ["a flipped byte of the header", "backup_corrupt", (file) => flipByte(file, 17)],
    ["another magic", "backup_corrupt", (file) => flipByte(file, 0)],
    ["a cut file", "backup_corrupt", (file) => truncate(file, 30 * MIB)],
    ["an empty file", "backup_corrupt", (file) => truncate(file, 0)],
    ["a longer file", "backup_corrupt", (file) => truncate(file, 100 * MIB)],
    ["a deleted file", "backup_missing", (file) => unlink(file)],
  ];
  test.each(damages)("%s: %s, the region stays on disk and nothing is committed", (_what, code, damage) =>
    withFilled(async (region, directory, device) => {
      await region.release({ mode: "disk", directory });
      const file = backupFile(region);
      const before = region.observe();
      const usedBefore = await systemUsedBytes(device);
      await damage(file);
      expect(await failure(() => region.resume())).toMatchObject({ code, file });
      expect(region.observe()).toEqual(before);
      expect(device.observe()).toMatchObject({ committedBytes: 0, heldBytes: 0 });
      expect((await systemUsedBytes(device)) - usedBefore).toBeLessThan(REGION_BYTES / 2);

      // The way out: give up the backup, start empty.
      expect(await region.release({ mode: "discard" })).toMatchObject({ method: "discard", bytesFreed: 0 });
      expect(region.observe()).toMatchObject({ residency: "released", contents: "undefined" });
      expect(await region.resume()).toMatchObject({ method: "zero" });
    }),
  );

  test("a damaged file that is repaired can be resumed after all", () =>
    withFilled(async (region, directory) => {
      const checksum = await region.checksum();
      await region.release({ mode: "disk", directory });
      await flipByte(backupFile(region), 20 * MIB);
      expect(await failure(() => region.resume())).toMatchObject({ code: "backup_corrupt" });
      await flipByte(backupFile(region), 20 * MIB);
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
    }));

  test("a folder that is missing or read as a file", () =>
    withFilled(async (region, folder) => {
      const checksum = await region.checksum();
      for (const directory of [join(folder, "missing"), "/dev/null"]) {
        expect(await failure(() => region.release({ mode: "disk", directory }))).toMatchObject({ code: "backup_io" });
      }
      expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
      expect(await region.checksum()).toBe(checksum);
    }));

  test("a full disk leaves the region resident, intact, and no file behind", async (context) => {
    await withFilled(async (region, folder) => {
      const small = join(folder, "small");
      await mkdir(small);
      try {
        execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", small], { stdio: "ignore" });
      } catch {
        context.skip("mounting a small file system needs root");
      }
      try {
        const checksum = await region.checksum();
        const before = region.observe();
        expect(await failure(() => region.release({ mode: "disk", directory: small }))).toMatchObject({
          code: "backup_io",
        });
        expect(readdirSync(small)).toEqual([]);
        expect(region.observe()).toEqual(before);
        expect(await region.checksum()).toBe(checksum);
      } finally {
        execFileSync("umount", [small]);
        execFileSync("rmdir", [small]);
      }
    });
  });
});

describeDevice("cancelling", () => {
  const LARGE_BYTES = 512 * MIB;

  /** Whether it was done; when not, because it was cancelled. */
  async function completed(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      expect(error).toMatchObject({ code: "cancelled" });
      return false;
    }
  }

  test.each(["host", "disk"] as const)("a %s backup on its way leaves the region resident and intact", (mode) =>
    withFilled(async (region, directory) => {
      const checksum = await region.checksum();
      const releaseCancelled = async () => {
        const cancellation = addon.createCancellation();
        const onProgress = (_: number, totalBytes: number): void => {
          expect(totalBytes).toBe(LARGE_BYTES);
          cancellation.cancel();
        };
        return region.release({ mode, directory, onProgress, cancellation });
      };
      // On a busy machine JavaScript may hear of the progress when all is copied: then it is done again.
      while (await completed(releaseCancelled)) {
        await region.release({ mode: "discard" });
        await region.resume();
        await region.fill(42);
      }
      expect(readdirSync(directory)).toEqual([]);
      expect(region.observe()).toMatchObject({ residency: "resident", contents: "defined" });
      expect(await region.checksum()).toBe(checksum);
      await region.release({ mode, directory });
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
    }, LARGE_BYTES),
  );

  test.each(["host", "disk"] as const)("a resume from %s leaves the region there with nothing committed", (mode) =>
    withFilled(async (region, directory, device) => {
      const checksum = await region.checksum();
      await region.release({ mode, directory });
      const before = region.observe();
      const cancellation = addon.createCancellation();
      cancellation.cancel();
      expect(await failure(() => region.resume({ cancellation }))).toMatchObject({ code: "cancelled" });
      expect(region.observe()).toEqual(before);
      expect(device.observe().committedBytes).toBe(0);
      await region.resume();
      expect(await region.checksum()).toBe(checksum);
    }),
  );

  test("progress ends with everything", () =>
    withFilled(async (region, directory) => {
      const seen: number[] = [];
      const onProgress = (doneBytes: number): void => void seen.push(doneBytes);
      await region.release({ mode: IS_HOST ? "host" : "disk", directory, onProgress });
      expect(seen.at(-1)).toBe(REGION_BYTES);
      expect(seen).toEqual([...seen].sort((a, b) => a - b));
    }));
});
