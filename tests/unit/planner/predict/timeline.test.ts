/** A prediction as the timeline that the screen draws. */
import { describe, expect, it } from "vitest";
import { predict } from "../../../../core/planner/predict/predict.ts";
import { timelineOf } from "../../../../core/planner/predict/timeline.ts";
import { PRESETS, presetNamed } from "../../../../core/planner/presets.ts";
import { timelineFromFile, timelineToFile } from "../../../../core/timeline/file.ts";
import { peakIn } from "../../../../core/timeline/peak.ts";
import { readingAt } from "../../../../core/timeline/readout.ts";
import { extentOf } from "../../../../core/timeline/timeline.ts";

describe.each(PRESETS.map(({ name, plan }) => [name, plan] as const))("%s", (_, plan) => {
  const prediction = predict(plan);
  const timeline = timelineOf(prediction, 100);
  const extent = extentOf(timeline);
  if (extent === undefined) throw new Error("a timeline of a step has rows");

  it("lasts a step, and has its phases one behind the other", () => {
    expect(extent.startSeconds).toBe(100);
    expect(extent.endSeconds - 100).toBeCloseTo(prediction.workSeconds + prediction.memorySeconds, 6);
    expect(timeline.phases.map(({ name }) => name)).toEqual(prediction.schedule.phases.map(({ work }) => work));
    for (const [index, { startSeconds }] of timeline.phases.entries()) {
      expect(startSeconds).toBe(index === 0 ? 100 : timeline.phases[index - 1]?.endSeconds);
    }
  });

  it("peaks at the fullest GPU's peak, and ends as it began", () => {
    expect(peakIn(timeline, extent)?.bytes).toBe(prediction.fullest.peakBytes);
    const [first, last] = [readingAt(timeline, extent.startSeconds), readingAt(timeline, extent.endSeconds)];
    expect(last?.consumers).toEqual(first?.consumers);
  });

  it("marks every action where it ends, and survives being written and read", () => {
    const actions = prediction.schedule.phases.flatMap(({ before, after }) => [...before, ...after]);
    expect(timeline.actions).toHaveLength(actions.length);
    const read = timelineFromFile(JSON.parse(JSON.stringify(timelineToFile(timeline))), "mine.json");
    expect(peakIn(read, extent)?.bytes).toBe(prediction.fullest.peakBytes);
  });
});

it("shows the KV cache only while the engine samples", () => {
  const prediction = predict(presetNamed("4xh100-colocated").plan);
  const timeline = timelineOf(prediction);
  const kvAt = (work: string) => {
    const phase = timeline.phases.find(({ name }) => name === work);
    const middle = ((phase?.startSeconds ?? 0) + (phase?.endSeconds ?? 0)) / 2;
    const reading = readingAt(timeline, middle)?.consumers.find(({ consumer }) => consumer === "engine.kv_cache");
    return reading?.committedBytes;
  };
  expect(kvAt("rollout")).toBeGreaterThan(0);
  expect(kvAt("train_policy")).toBe(0);
});
