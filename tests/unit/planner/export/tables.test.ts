/** The table of a prediction, as CSV, as Markdown and as JSON. */
import { describe, expect, it } from "vitest";
import { phasesAsCsv, phasesAsJson, phasesAsMarkdown } from "../../../../core/planner/export/tables.ts";
import { planFrom } from "../../../../core/planner/plan-file.ts";
import { GIB } from "../../../../core/units.ts";
import { planWith } from "../plans.ts";
import { FIGURES } from "./figures.ts";

const GIB_TEXT = (count: number) => String(count * GIB);

describe("CSV", () => {
  it("has bytes, one row per phase, and no column of a consumer that holds nothing", () => {
    const [header, rollout, ...rest] = phasesAsCsv(planWith(), FIGURES).split("\r\n");
    expect(header).toBe(
      "plan,phase,engine.weights (bytes),engine.kv_cache (bytes),policy.weights (bytes),policy.optimizer (bytes)," +
        "reward.weights (bytes),activations (bytes),logits (bytes),context (bytes),total (bytes),capacity (bytes)",
    );
    expect(rollout).toBe(["7B on one H100", "rollout", ...[15, 20, 15, 0, 0, 0, 0, 1, 51, 80].map(GIB_TEXT)].join(","));
    expect(rest).toHaveLength(3);
    expect(rest.at(-1)).toBe("");
  });

  it.each([
    ['7B, "all"', '"7B, ""all""",rollout'],
    ["two\nlines", '"two\nlines",rollout'],
    ["=HYPERLINK(1)", "'=HYPERLINK(1),rollout"],
    ["-7B", "'-7B,rollout"],
    ["@sum,1", `"'@sum,1",rollout`],
    ["größer", "größer,rollout"],
  ])("keeps the name %j one cell, and text", (name, row) => {
    expect(phasesAsCsv(planWith({ name }), FIGURES)).toContain(`\r\n${row},`);
  });
});

describe("Markdown", () => {
  it("is a table for an issue, in GiB, with the peak in bold", () => {
    expect(phasesAsMarkdown(planWith(), FIGURES)).toBe(
      `**7B on one H100**, predicted: peak 76.0 GiB of 80.0 GiB per GPU

| GiB | engine.weights | engine.kv_cache | policy.weights | policy.optimizer | reward.weights | activations | logits | context | total |
| :-- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
| rollout | 15.00 | 20.00 | 15.00 |  |  |  |  | 1.00 | 51.00 |
| score_reward | 15.00 |  |  |  | 15.00 | 0.75 | 0.25 |  | 31.00 |
| train_policy |  |  | 15.00 | 60.00 |  |  |  | 1.00 | **76.00** |
`,
    );
  });

  it("says when it does not fit", () => {
    expect(phasesAsMarkdown(planWith(), { ...FIGURES, gpuBytes: 48 * GIB })).toContain(
      "peak 76.0 GiB and does not fit into 48.0 GiB per GPU",
    );
  });

  it.each([
    ["a|b", "**a\\|b**"],
    ["<img src=x>", "**\\<img src=x\\>**"],
    ["[x](http://y)", "**\\[x\\]\\(http://y\\)**"],
    ["*7B* `x` @you", "**\\*7B\\* \\`x\\` \\@you**"],
    ["two\n# lines", "**two \\# lines**"],
  ])("the name %j has no meaning in it", (name, text) => {
    expect(phasesAsMarkdown(planWith({ name }), FIGURES).split("\n")[0]).toContain(text);
  });
});

it("JSON holds the plan, which can be read again, and the figures", () => {
  const plan = planWith({ strategies: { reference: "host" } });
  const { plan: read, figures } = JSON.parse(phasesAsJson(plan, FIGURES));
  expect(planFrom(read, "the plan")).toEqual(plan);
  expect(figures).toEqual(FIGURES);
});
