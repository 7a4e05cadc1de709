/** What was measured lies over what was predicted: phase on phase, and no extreme of its samples is lost. */
import { expect, test } from "vitest";
import { HEADER_COLUMNS } from "../../../core/contract/timeline.ts";
import { outlineColumns, outlineOver } from "../../../core/timeline/outline.ts";
import { TimelineStore } from "../../../core/timeline/store.ts";

/** A consumer's bytes at times, with a context of 5 bytes beside it. */
function storeOf(rows: readonly (readonly [timeSeconds: number, bytes: number])[]): TimelineStore {
  const store = new TimelineStore();
  const samples = rows.flatMap(([timeSeconds, bytes]) => [timeSeconds, bytes + 5, 100, 5, 0, 0, bytes, bytes, bytes]);
  expect(samples).toHaveLength(rows.length * (HEADER_COLUMNS + 3));
  store.append({ consumers: ["engine.weights"], rows: rows.length, samples, dropped: 0 });
  return store;
}

const PREDICTED = [
  { name: "rollout", startSeconds: 0, endSeconds: 9 },
  { name: "train_policy", startSeconds: 9, endSeconds: 24 },
  { name: "update_weights", startSeconds: 24, endSeconds: undefined },
];
const phase = (name: string, startSeconds: number, endSeconds: number, peakBytes = 0) => ({
  name,
  own: { startSeconds, endSeconds },
  peakBytes,
});

test("a measured phase lies over the phase of the same name, whatever its own clock said", () => {
  const measured = [
    phase("train_policy", 1001, 1002, 70),
    phase("rollout", 1000, 1001, 30),
    phase("update_weights", 1002, 1003),
    phase("score_reward", 1003, 1004),
  ];
  const { stretches } = outlineOver(PREDICTED, measured, new TimelineStore());
  expect(stretches).toMatchObject([
    { name: "rollout", peakBytes: 30, own: { startSeconds: 1000 }, over: { startSeconds: 0, endSeconds: 9 } },
    { name: "train_policy", peakBytes: 70, own: { startSeconds: 1001 }, over: { startSeconds: 9, endSeconds: 24 } },
  ]);
});

test("its samples keep their extremes in however few columns, without what no region holds", () => {
  const rows = Array.from({ length: 100 }, (_, row) => [1000 + row / 100, row === 37 ? 90 : row] as const);
  const outline = outlineOver(PREDICTED, [phase("rollout", 1000, 1001)], storeOf(rows));
  const [stretch] = outline.stretches;
  if (stretch === undefined) throw new Error("the phase has a stretch");
  const { min, max } = outlineColumns(outline, stretch, 2);
  expect([...min]).toEqual([0, 50]);
  expect([...max]).toEqual([90, 99]);
});

test("a phase shorter than the time between samples shows what held then; one that was not sampled shows nothing", () => {
  const store = storeOf([
    [1000, 20],
    [1000.5, 40],
  ]);
  const outline = outlineOver(PREDICTED, [phase("rollout", 1000.1, 1000.2), phase("train_policy", 900, 901)], store);
  const maxima = outline.stretches.map((stretch) => [...outlineColumns(outline, stretch, 3).max]);
  expect(maxima).toEqual([
    [20, 20, 20],
    [Number.NaN, Number.NaN, Number.NaN],
  ]);
});
