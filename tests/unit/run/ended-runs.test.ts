/** Phases of ended runs are kept, the newest of them. */
import { expect, it } from "vitest";
import { type EndedRun, withEndedRun } from "../../../core/run/ended-runs.ts";

function run(startSeconds: number, count: number): EndedRun {
  return Array.from({ length: count }, (_, step) => ({
    step,
    work: "rollout" as const,
    startSeconds: startSeconds + step,
    endSeconds: startSeconds + step + 1,
  }));
}

it("keeps runs apart, and forgets the oldest phases first", () => {
  const [first, second] = [run(0, 4), run(100, 4)];
  const both = withEndedRun(withEndedRun([], first), second);
  expect(both).toEqual([first, second]);
  expect(withEndedRun(both, run(200, 4), 6)).toEqual([second.slice(2), run(200, 4)]);
  expect(withEndedRun(both, run(200, 9), 6)).toEqual([run(200, 9).slice(3)]);
});

it("keeps nothing of a run that had not begun, nor what a timeline does not draw", () => {
  expect(withEndedRun([run(0, 1)], [])).toEqual([run(0, 1)]);
  const [phase] = run(0, 1);
  if (phase === undefined) throw new Error("a run of one phase has one");
  expect(withEndedRun([], [Object.assign({ peakBytes: 1 }, phase)])).toEqual([[phase]]);
});
