import { beforeEach, describe, expect, it } from "vitest";
import type { ActionRecord, GenerationState } from "../../../core/contract/timeline.ts";
import { countWords, rateWords } from "../../../renderer/screens/run/figures.ts";
import { outcomeWords } from "../../../renderer/screens/run/receipt-words.ts";
import {
  addActions,
  lastActionOf,
  putGeneration,
  replaceActivity,
  runningGenerations,
  shownGeneration,
  useActivity,
} from "../../../renderer/state/activity.ts";
import { notifyError, useNotices } from "../../../renderer/state/notices.ts";
import { setPreferences, usePreferences } from "../../../renderer/state/preferences.ts";
import { checkDraft, type PromptDraft, promptKind, usePrompt } from "../../../renderer/state/prompt.ts";

const draft: PromptDraft = usePrompt.getState();

function generation(id: number, change: Partial<GenerationState> = {}): GenerationState {
  const state: GenerationState = {
    id,
    startedSeconds: id,
    weightsVersion: 1,
    checkpointName: "demo",
    requests: [],
    newTokens: 0,
    tokensPerSecond: 0,
  };
  return { ...state, ...change };
}

function action(id: number, consumer: string, change: Partial<ActionRecord> = {}): ActionRecord {
  const record: ActionRecord = { id, timeSeconds: id, kind: "release", consumer, label: "release", milliseconds: 1 };
  return { ...record, ...change };
}

describe("actions and generations", () => {
  beforeEach(() => replaceActivity([], []));

  it("an update replaces the generation it updates", () => {
    putGeneration(generation(1));
    putGeneration(generation(2));
    putGeneration(generation(1, { newTokens: 5, finishedSeconds: 9 }));
    const { generations } = useActivity.getState();
    expect(generations.map(({ id, newTokens }) => [id, newTokens])).toEqual([
      [1, 5],
      [2, 0],
    ]);
    expect(runningGenerations(generations).map(({ id }) => id)).toEqual([2]);
    expect(shownGeneration(generations, undefined)?.id).toBe(2);
    expect(shownGeneration(generations, 1)?.id).toBe(1);
  });

  it("finds the newest action on a consumer", () => {
    for (const [id, consumer] of [
      [1, "a"],
      [2, "b"],
      [3, "a"],
    ] as const) {
      addActions([action(id, consumer)]);
    }
    expect(lastActionOf(useActivity.getState().actions, "a")?.id).toBe(3);
  });
});

describe("what an action did, in words", () => {
  const receipt = {
    action: "release",
    consumer: "engine.kv_cache",
    method: "discard",
    bytesFreed: 64 * 2 ** 20,
    bytesRetained: 0,
    bytesCommitted: 0,
    bytesCopied: 0,
    milliseconds: 1.2,
  } as const;

  it("says bytes freed, time and bytes copied", () => {
    expect(outcomeWords(action(1, "engine.kv_cache", { receipt }))).toBe("freed 64.0 MiB in 1.2 ms, 0 B copied");
  });

  it("says how weights were swapped: the engine often chooses that itself", () => {
    const swap = { ...receipt, action: "swap", method: "ipc", bytesFreed: 0, bytesCopied: 2 ** 20 } as const;
    expect(outcomeWords(action(1, "a", { receipt: swap }))).toBe("swapped (ipc) in 1.2 ms, 1.00 MiB copied");
    expect(
      outcomeWords(action(1, "a", { receipt: { ...swap, method: "share", bytesFreed: 2 ** 20, bytesCopied: 0 } })),
    ).toBe("swapped (share), freed 1.00 MiB in 1.2 ms, 0 B copied");
  });

  it("says what the pool keeps, and why something failed", () => {
    const held = { ...receipt, bytesFreed: 0, bytesRetained: 2 ** 20 };
    expect(outcomeWords(action(1, "a", { receipt: held }))).toBe("kept 1.00 MiB in the pool in 1.2 ms, 0 B copied");
    expect(outcomeWords(action(1, "a", { error: { code: "busy", message: "it is busy" } }))).toBe("it is busy");
  });
});

describe("the prompt's draft", () => {
  it("greedy is temperature 0, whatever the sampling fields say", () => {
    expect(checkDraft({ ...draft, temperature: Number.NaN }, true)).toMatchObject({
      ok: true,
      request: { prompt: { kind: "text" }, sampling: { temperature: 0, topK: 0, topP: 1 } },
    });
  });

  it("reads ids separated by spaces or commas, and names the word that is none", () => {
    expect(checkDraft({ ...draft, kind: "ids", ids: " 1, 2\n3 " }, true)).toMatchObject({
      ok: true,
      request: { prompt: { kind: "ids", ids: [1, 2, 3] } },
    });
    expect(checkDraft({ ...draft, kind: "ids", ids: "1 two" }, true)).toEqual({
      ok: false,
      problem: '"two" is not a token id',
    });
  });

  it("uses ids where there is no tokenizer", () => {
    expect(promptKind({ ...draft, kind: "text" }, false)).toBe("ids");
  });

  it.each([
    ["new tokens", { maxNewTokens: 0 }],
    ["new tokens", { maxNewTokens: Number.NaN }],
    ["batch", { batch: 257 }],
    ["temperature", { method: "sample", temperature: 0 }],
    ["top-p", { method: "sample", topP: 0 }],
    ["top-k", { method: "sample", topK: -1 }],
    ["seed", { seed: 0.5 }],
  ] as const)("refuses a bad %s", (field, change) => {
    const check = checkDraft({ ...draft, ...change }, true);
    expect(check.ok ? "accepted" : check.problem).toContain(field);
  });
});

describe("notices and preferences", () => {
  it("the same failure again is one notice with a count", () => {
    useNotices.setState({ notices: [] });
    notifyError("Resume", { code: "busy", message: "busy" });
    notifyError("Resume", { code: "busy", message: "busy" });
    notifyError("Resume", { code: "busy", message: "another reason" });
    expect(useNotices.getState().notices.map(({ times }) => times)).toEqual([2, 1]);
  });

  it("a size out of range falls back instead of breaking the layout", () => {
    setPreferences({ sideWidthPx: 500 });
    expect(usePreferences.getState().sideWidthPx).toBe(500);
    setPreferences({ sideWidthPx: 9000, theme: "dark" });
    expect(usePreferences.getState().sideWidthPx).toBeLessThanOrEqual(800);
    expect(usePreferences.getState().theme).toBe("dark");
  });
});

describe("figures", () => {
  it("are short", () => {
    expect([640, 82_300, 494_000_000, 1_240_000_000].map(countWords)).toEqual(["640", "82.3 k", "494 M", "1.24 B"]);
    expect([1660.4, 312.4, 8.44].map(rateWords)).toEqual(["1,660 tokens/s", "312 tokens/s", "8.4 tokens/s"]);
  });
});
