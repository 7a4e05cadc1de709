/** What holds for the exports of all launchers. */
import { expect, it } from "vitest";
import { exportPlan } from "../../../../../core/planner/export/export.ts";
import { parseTarget } from "../../../../../core/planner/export/target.ts";
import { planWith } from "../../plans.ts";
import { FIGURES } from "../figures.ts";
import { apart, COLOCATED } from "./support.ts";

it("every export says how its memory fraction was computed, and every gap why and what is nearest", () => {
  for (const launcher of ["sglang", "vllm", "openrlhf", "verl", "trl", "slime"]) {
    for (const plan of [
      COLOCATED,
      apart(),
      planWith({ strategies: { swap: { method: "share" }, reference: "disk" } }),
    ]) {
      const { notes, unexpressed } = exportPlan(plan, FIGURES, parseTarget(launcher));
      expect(notes[0]).toMatch(/fraction is of/);
      for (const gap of unexpressed) expect(Object.values(gap).every((words) => words.length > 0)).toBe(true);
      expect(new Set(unexpressed.map(({ what }) => what)).size).toBe(unexpressed.length);
    }
  }
});
