/** A recording that was saved is the recording that is loaded; what is not one is refused with a reason. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { timelineFromFile, timelineToFile } from "../../../core/timeline/file.ts";
import { tableOf, tableToCsv } from "../../../core/timeline/table.ts";
import { action, arbitraryRows, row, storeOf } from "./samples.ts";

describe("timeline file", () => {
  it("comes back the same", () => {
    fc.assert(
      fc.property(arbitraryRows, (rows) => {
        const phases = [{ name: "rollout", startSeconds: 1, endSeconds: undefined }];
        const timeline = { samples: storeOf(rows), actions: [action(1, 2)], phases };
        const file = timelineToFile(timeline);
        const loaded = timelineFromFile(JSON.parse(JSON.stringify(file)), "mine.json");
        expect(timelineToFile(loaded)).toEqual(file);
        expect(loaded.phases).toEqual(phases);
        expect(loaded.samples.rows).toBe(rows.length);
      }),
      { numRuns: 30 },
    );
  });

  it("refuses other JSON, naming the field", () => {
    const file = timelineToFile({ samples: storeOf([row(1, 5), row(2, 6)]), actions: [], phases: [] });
    const { device } = file;
    const named = (consumer: string) => ({ consumer, reserved: 1, committed: 1, used: 1 });
    const refusals = [
      [{ hello: 1 }, "format is missing"],
      [[], "is []: must be an object"],
      [{ ...file, version: 2 }, "version is 2"],
      [{ ...file, gapSeconds: -1 }, "gapSeconds is -1: must be greater than 0"],
      [{ ...file, timeSeconds: [1, Number.POSITIVE_INFINITY] }, "timeSeconds[1] is Infinity: must be a finite number"],
      [{ ...file, device: { ...device, used: "5" } }, 'device.used is "5": must be a number'],
      [{ ...file, device: { ...device, used: [1] } }, "device.used has 1 values: must have 2, one for each row"],
      [
        { ...file, consumers: [{ consumer: "logits", reserved: 1, committed: [1, 2, 3], used: 1 }] },
        "consumers[0].committed has 3 values: must have 2, one for each row",
      ],
      [
        { ...file, consumers: [named("logits"), named("logits")] },
        "consumers[1].consumer is logits, which is there twice",
      ],
      [{ ...file, consumers: [named("pool")] }, "consumers[0].consumer is pool, which is a column of the device"],
      [{ ...file, timeSeconds: [2, 1] }, "timeSeconds[1] lies before the row above: rows are in order"],
    ] as const;
    for (const [data, words] of refusals) {
      const place = words.startsWith("is ") ? "mine.json" : "mine.json:";
      expect(() => timelineFromFile(data, "mine.json")).toThrow(`${place} ${words}`);
    }
  });
});

describe("table", () => {
  it("has the highest value of every stretch, and says where there are no samples", () => {
    const samples = storeOf([
      row(0.1, 150, { logits: 50 }),
      row(0.2, 900, { logits: 800 }),
      row(0.3, 150, { logits: 50 }),
    ]);
    const actions = [action(1, 0.15, { label: 'release "a", b' })];
    const table = tableOf({ samples, actions, phases: [] }, { startSeconds: 0, endSeconds: 2 }, 2);
    expect(table.consumers).toEqual(["context", "logits", "unaccounted"]);
    expect(table.rows[0]).toMatchObject({ used: { maxBytes: 900, minBytes: 150 }, committedBytes: [10, 800, 90] });
    expect(table.rows[1]?.used).toBeUndefined();
    expect(tableToCsv(table).split("\r\n")).toEqual([
      "start_seconds,end_seconds,used_max_bytes,used_min_bytes,context_max_bytes,logits_max_bytes,unaccounted_max_bytes,actions",
      '0,1,900,150,10,800,90,"release ""a"", b"',
      "1,2,,,,,,",
      "",
    ]);
  });
});
