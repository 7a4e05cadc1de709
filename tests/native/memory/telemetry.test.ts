/** Samples arrive in batches, add up, and what is lost is counted. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { SampleBatch } from "../../../native/addon.d.ts";
import { addon, createRegion, describeDevice, IS_HOST, openDevice } from "../support.ts";

function rowsOf(batch: SampleBatch): readonly (readonly number[])[] {
  const columns = addon.SAMPLE_HEADER_COLUMNS + batch.consumers.length * addon.SAMPLE_CONSUMER_COLUMNS;
  expect(batch.samples.length).toBe(batch.rows * columns);
  return Array.from({ length: batch.rows }, (_, row) => [
    ...batch.samples.subarray(row * columns, (row + 1) * columns),
  ]);
}

async function until(done: () => boolean): Promise<void> {
  while (!done()) await sleep(5);
}

function blockJavaScript(milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (performance.now() < end);
}

describeDevice("telemetry", () => {
  test("rows say what regions and the system say, in order of time", async () => {
    const device = openDevice(128 * MIB);
    const region = createRegion(device, "engine.kv_cache", 32 * MIB);
    const batches: SampleBatch[] = [];
    const startSeconds = Date.now() / 1000;
    const telemetry = device.startTelemetry({ hertz: 200, batchSeconds: 0.02 }, (batch) => batches.push(batch));
    await until(() => batches.length > 0);
    await region.resume();
    await region.fill(1);
    const resident = batches.length;
    await until(() => batches.length > resident + 2);
    const seen = device.observe();
    await region.release({ mode: "host", destination: "hold" });
    const released = batches.length;
    await until(() => batches.length > released + 2);
    telemetry.stop();
    const count = batches.length;
    await sleep(50);
    expect(batches.length).toBe(count);

    const rows = batches.flatMap(rowsOf);
    expect(batches.every((batch) => batch.consumers.join() === "engine.kv_cache")).toBe(true);
    const times = rows.map(([time = 0]) => time);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(startSeconds - 0.1);
    expect(times.at(-1)).toBeLessThan(Date.now() / 1000 + 0.1);
    for (const [, used = 0, total, context, backup, held, reserved, committed = -1] of rows) {
      expect(used).toBeGreaterThan(0);
      expect([total, context, reserved]).toEqual([seen.totalBytes, seen.contextBytes, 32 * MIB]);
      // While memory is taken, what there is of it already.
      expect(committed).toBeLessThanOrEqual(32 * MIB);
      expect(backup).toBeLessThanOrEqual(32 * MIB);
      expect([0, 32 * MIB]).toContain(held);
    }
    expect(rows[0]?.slice(6)).toEqual([32 * MIB, 0, 0]);
    expect(rows.some((row) => row.slice(6).join() === [32 * MIB, 32 * MIB, 32 * MIB].join())).toBe(true);
    expect(rows.at(-1)?.slice(4)).toEqual([32 * MIB, 32 * MIB, 32 * MIB, 0, 0]);
    await region.close();
  });

  test("a rate that is raised finds room for its rows", async () => {
    const device = openDevice(64 * MIB);
    const rows: number[] = [];
    const telemetry = device.startTelemetry({ hertz: 10, batchSeconds: 1 }, (batch) => rows.push(batch.rows));
    await until(() => rows.length > 0);
    telemetry.setRate(1000);
    // More than a second of the first rate was given room for, however little of the processor the sampler gets.
    await until(() => rows.some((count) => count > 64));
    telemetry.stop();
    await device.close();
  });

  test("a new consumer starts a new batch; two regions of one consumer are summed", async () => {
    const device = openDevice(128 * MIB);
    const batches: SampleBatch[] = [];
    const telemetry = device.startTelemetry({ hertz: 500, batchSeconds: 0.02 }, (batch) => batches.push(batch));
    const sets = (): string[] => batches.map((batch) => batch.consumers.join());
    await until(() => sets().includes(""));
    const first = createRegion(device, "policy.weights", 8 * MIB);
    await until(() => sets().includes("policy.weights"));
    const second = createRegion(device, "policy.weights", 4 * MIB);
    const other = createRegion(device, "critic.weights", 2 * MIB);
    await first.resume();
    await second.resume();
    await until(() => sets().at(-1) === "policy.weights,critic.weights");
    const last = batches.length;
    await until(() => batches.length > last + 1);
    telemetry.stop();
    const changes = sets().filter((set, i, all) => set !== all[i - 1]);
    expect(changes).toEqual(["", "policy.weights", "policy.weights,critic.weights"]);
    const row = batches.flatMap((batch) => rowsOf(batch)).at(-1);
    expect(row?.slice(6)).toEqual([12 * MIB, 12 * MIB, 0, 2 * MIB, 0, 0]);
    for (const region of [first, second, other]) await region.close();
  });

  test("a blocked JavaScript thread loses samples only into the count", async () => {
    const device = openDevice(128 * MIB);
    const batches: SampleBatch[] = [];
    const start = performance.now();
    const telemetry = device.startTelemetry({ hertz: 1000, batchSeconds: 0.02 }, (batch) => batches.push(batch));
    blockJavaScript(500);
    telemetry.stop();
    const ticks = performance.now() - start;
    const rows = batches.reduce((sum, batch) => sum + batch.rows, 0);
    const dropped = batches.reduce((sum, batch) => sum + batch.dropped, 0);
    expect(dropped).toBeGreaterThan(100);
    expect(rows).toBeGreaterThan(0);
    // One sample per millisecond, taken or counted. A busy machine may keep the thread from starting, and from counting
    // before it stops, for a while; uncounted, most of the time would be missing.
    expect(rows + dropped).toBeLessThan(ticks + 2);
    expect(rows + dropped).toBeGreaterThan(ticks / 2);
  });

  test("a region being copied is still sampled", async () => {
    const device = openDevice(1024 * MIB);
    const region = createRegion(device, "engine.weights", 512 * MIB);
    await region.resume();
    await region.fill(1);
    const batches: SampleBatch[] = [];
    const telemetry = device.startTelemetry({ hertz: 1000, batchSeconds: 0.01 }, (batch) => batches.push(batch));
    await until(() => batches.length > 1);
    // Samples of the middle of a copy: again until there are, because a busy machine may keep them from being taken.
    let during = 0;
    while (during === 0) {
      const startSeconds = Date.now() / 1000;
      const { milliseconds } = await region.release({ mode: "host" });
      const ended = batches.length;
      await until(() => batches.length > ended + 1);
      const seconds = milliseconds / 1000;
      const times = batches.flatMap(rowsOf).map(([time = 0]) => time - startSeconds);
      during = times.filter((time) => time > 0.3 * seconds && time < 0.7 * seconds).length;
      batches.length = 0;
      await region.resume();
      await region.fill(1);
    }
    telemetry.stop();
    await region.close();
  });

  test.runIf(IS_HOST)("memory on its way to a region or a backup is never unaccounted", async () => {
    const device = openDevice(512 * MIB);
    const region = createRegion(device, "engine.weights", 512 * MIB);
    const batches: SampleBatch[] = [];
    const telemetry = device.startTelemetry({ hertz: 500, batchSeconds: 0.02 }, (batch) => batches.push(batch));
    await region.resume();
    await region.fill(1);
    await region.release({ mode: "host" });
    await region.resume();
    const ended = batches.length;
    await until(() => batches.length > ended + 1);
    telemetry.stop();
    const unaccounted = batches.flatMap(rowsOf).map(([, used = 0, , context = 0, , held = 0, , committed = 0]) => {
      return used - context - held - committed;
    });
    // Pieces of 8 MiB are touched on every core before they are counted; the rest is this process's own heap. A row's
    // figures are read one after the other, so a single row may straddle the end of a release.
    const lasting = unaccounted.slice(4).map((_, row) => Math.min(...unaccounted.slice(row, row + 5)));
    expect(Math.max(...lasting)).toBeLessThan(128 * MIB);
    await region.close();
  });

  test("the rate can change while it runs", async () => {
    const device = openDevice(128 * MIB);
    const batches: SampleBatch[] = [];
    const telemetry = device.startTelemetry({ hertz: 10, batchSeconds: 0.05 }, (batch) => batches.push(batch));
    await until(() => batches.length > 1);
    telemetry.setRate(1000);
    batches.length = 0;
    await until(() => batches.length > 3);
    expect(Math.max(...batches.map((batch) => batch.rows + batch.dropped))).toBeGreaterThan(5);
    expect(() => telemetry.setRate(0)).toThrow();
    telemetry.stop();
    telemetry.stop();
  });
});
