/** The golden runner's judgement, apart from any engine: it has to fail whenever one number is wrong. */
import { mkdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { findCases } from "../../../electron/golden/cases.ts";
import { type Computed, comparePrompt } from "../../../electron/golden/compare.ts";
import { type GoldenPrompt, readGolden, toleranceFor } from "../../../electron/golden/golden-file.ts";
import { FIXTURES, failureOf, temporaryFolder, writeFiles } from "./files.ts";

const TOLERANCE = 2e-3;
const EXPECTED: GoldenPrompt = {
  prompt: [5, 6, 7],
  lastLogits: [0.5, -1, 2, 0.25],
  promptLogprobs: [-1.5, -2.5],
  greedy: [2, 1, 3],
  greedyLogprobs: [-0.5, -0.7, -0.9],
  greedyMargin: [1.5, 0.001, 0.4],
};
const RIGHT: Computed = {
  lastLogits: EXPECTED.lastLogits,
  promptLogprobs: EXPECTED.promptLogprobs,
  greedy: EXPECTED.greedy.map((tokenId, step) => ({ tokenId, logprob: EXPECTED.greedyLogprobs[step] ?? Number.NaN })),
};
const judge = (change: Partial<Computed>) => comparePrompt(EXPECTED, { ...RIGHT, ...change }, TOLERANCE);
const greedyWith = (step: number, token: Computed["greedy"][number]) =>
  RIGHT.greedy.map((right, index) => (index === step ? token : right));

describe("comparing one prompt", () => {
  test("passes what is right, and measures what is nearly right", () => {
    expect(judge({})).toEqual({ worstError: 0, failure: undefined });
    const nearly = judge({ lastLogits: [0.5, -1.001, 2, 0.25] });
    expect(nearly.failure).toBeUndefined();
    expect(nearly.worstError).toBeCloseTo(0.001, 9);
  });

  test.each<[what: string, change: Partial<Computed>, failure: string]>([
    ["a wrong logit", { lastLogits: [0.5, -1, 2.003, 0.25] }, "logit 2 is 2.003, expected 2"],
    ["a logit that is not a number", { lastLogits: [0.5, Number.NaN, 2, 0.25] }, "logit 1 is NaN"],
    ["an infinite logit", { lastLogits: [0.5, -1, Number.POSITIVE_INFINITY, 0.25] }, "logit 2"],
    ["a logit too few", { lastLogits: [0.5, -1, 2] }, "3 logits, expected 4"],
    ["a wrong prompt log-prob", { promptLogprobs: [-1.5, -2.51] }, "prompt log-prob 1"],
    ["no prompt log-probs", { promptLogprobs: [] }, "0 prompt log-probs, expected 2"],
    [
      "a wrong token where the margin is wide",
      { greedy: greedyWith(0, { tokenId: 3, logprob: -0.5 }) },
      "greedy token 0 is 3, expected 2",
    ],
    [
      "a wrong log-prob of a right token",
      { greedy: greedyWith(2, { tokenId: 3, logprob: -0.95 }) },
      "log-prob of greedy token 2",
    ],
    [
      "a wrong log-prob in a narrow step",
      { greedy: greedyWith(1, { tokenId: 1, logprob: -0.8 }) },
      "log-prob of greedy token 1",
    ],
    [
      "no runner-up after all",
      { greedy: greedyWith(1, { tokenId: 0, logprob: -3 }) },
      "greedy token 1 is no runner-up",
    ],
    ["too few tokens", { greedy: RIGHT.greedy.slice(0, 2) }, "2 greedy tokens, expected 3"],
  ])("fails %s", (_, change, failure) => {
    expect(judge(change).failure).toContain(failure);
  });

  test("a runner-up within the tolerance may win, and what follows is not compared", () => {
    const diverged = [RIGHT.greedy[0], { tokenId: 0, logprob: -0.701 }, { tokenId: 0, logprob: -9 }];
    expect(judge({ greedy: diverged.filter((token) => token !== undefined) }).failure).toBeUndefined();
  });
});

describe("golden.json", () => {
  test("of float32 weights is held to a tenth of the tolerance", async () => {
    expect(toleranceFor(await readGolden(join(FIXTURES, "tiny-llama-gqa")))).toBe(2e-4);
    expect(toleranceFor(await readGolden(join(FIXTURES, "tiny-qwen2-tied")))).toBe(2e-3);
  });

  test.each<[field: string, golden: object]>([
    ["cases", { dtype: "float32" }],
    ["cases[0].prompt", { dtype: "float32", cases: [{ prompt: [] }] }],
    [
      "cases[0]",
      {
        dtype: "float32",
        cases: [
          { prompt: [1], last_logits: [], prompt_logprobs: [], greedy: [1], greedy_logprobs: [], greedy_margin: [] },
        ],
      },
    ],
  ])("damaged at %s", async (field, golden) => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "golden.json": golden });
    const error = await failureOf(() => readGolden(folder));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: join(folder, "golden.json"), field });
  });
});

describe("finding cases", () => {
  const fixtures = join(FIXTURES, "..");

  test("in a case's own folder and in folders of cases", async () => {
    expect(await findCases([join(FIXTURES, "tiny-llama-gqa")])).toEqual([
      { path: join(FIXTURES, "tiny-llama-gqa"), kind: "checkpoint" },
    ]);
    const all = await findCases([fixtures]);
    expect(all.map(({ path, kind }) => [basename(path), kind])).toEqual(
      expect.arrayContaining([
        ["tiny-llama-gqa", "checkpoint"],
        ["ppo-step-llama", "ppo"],
        ["memory", "memory"],
      ]),
    );
  });

  test("where there are none", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "sub"));
    expect(await failureOf(() => findCases([folder]))).toMatchObject({ code: "bad_argument", file: folder });
    expect(await failureOf(() => findCases(["/no/such/folder"]))).toMatchObject({ code: "bad_argument" });
  });
});
