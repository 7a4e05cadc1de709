import { expect, test } from "vitest";
import { outlineOver } from "../../../core/timeline/timeline.ts";

test("what was measured lies over the phase of the same name, whatever its own clock said", () => {
  const phases = [
    { name: "rollout", startSeconds: 0, endSeconds: 9 },
    { name: "train_policy", startSeconds: 9, endSeconds: 24 },
    { name: "update_weights", startSeconds: 24, endSeconds: undefined },
  ];
  const peaks = new Map([
    ["train_policy", 70],
    ["rollout", 30],
    ["update_weights", 50],
    ["score_reward", 10],
  ]);
  expect(outlineOver(phases, peaks)).toEqual({
    levels: [
      { startSeconds: 0, endSeconds: 9, bytes: 30 },
      { startSeconds: 9, endSeconds: 24, bytes: 70 },
    ],
  });
});
