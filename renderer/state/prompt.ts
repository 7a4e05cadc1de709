/** The generation being written: prompt, length, sampling. A draft of the `generate` command, checked here. */
import { create } from "zustand";
import type { CommandInput, Prompt } from "../../core/contract/commands.ts";

export interface PromptDraft {
  /** `ids`: token ids, the only way without a tokenizer. */
  readonly kind: "text" | "ids";
  readonly text: string;
  readonly ids: string;
  readonly maxNewTokens: number;
  readonly batch: number;
  readonly method: "greedy" | "sample";
  readonly temperature: number;
  /** 0 is off. */
  readonly topK: number;
  /** 1 is off. */
  readonly topP: number;
  readonly seed: number;
  /** Every sequence gets its full length, whatever the model says. */
  readonly pastEndOfText: boolean;
}

export const usePrompt = create<PromptDraft>(() => ({
  kind: "text",
  text: "The tide comes in",
  ids: "1 2 3",
  maxNewTokens: 128,
  batch: 1,
  method: "greedy",
  temperature: 0.8,
  topK: 0,
  topP: 0.95,
  seed: 1,
  pastEndOfText: false,
}));

export function editPrompt(change: Partial<PromptDraft>): void {
  usePrompt.setState(change);
}

export type DraftCheck =
  | { readonly ok: true; readonly request: CommandInput<"generate"> }
  | { readonly ok: false; readonly problem: string };

/** The draft as a request, or what is wrong with it in words for the person typing. */
export function checkDraft(draft: PromptDraft, hasTokenizer: boolean): DraftCheck {
  const prompt = promptOf(draft, hasTokenizer);
  if (typeof prompt === "string") return { ok: false, problem: prompt };
  if (!Number.isInteger(draft.maxNewTokens) || draft.maxNewTokens < 1) return no("new tokens: a whole number from 1");
  if (!Number.isInteger(draft.batch) || draft.batch < 1 || draft.batch > 256) return no("batch: 1 to 256");
  const sampled = draft.method === "sample";
  if (sampled && !(draft.temperature > 0 && draft.temperature <= 100)) return no("temperature: above 0, up to 100");
  if (sampled && !(draft.topP > 0 && draft.topP <= 1)) return no("top-p: above 0, up to 1 (1 is off)");
  if (sampled && !(Number.isInteger(draft.topK) && draft.topK >= 0)) return no("top-k: a whole number (0 is off)");
  if (!Number.isSafeInteger(draft.seed) || draft.seed < 0) return no("seed: a whole number from 0");
  return {
    ok: true,
    request: {
      prompt,
      batch: draft.batch,
      maxNewTokens: draft.maxNewTokens,
      pastEndOfText: draft.pastEndOfText,
      sampling: sampled
        ? { temperature: draft.temperature, topK: draft.topK, topP: draft.topP, seed: draft.seed }
        : { temperature: 0, topK: 0, topP: 1, seed: draft.seed },
    },
  };
}

/** Which input is used: ids when they were chosen, and always when the checkpoint has no tokenizer. */
export function promptKind(draft: PromptDraft, hasTokenizer: boolean): PromptDraft["kind"] {
  return hasTokenizer ? draft.kind : "ids";
}

function promptOf(draft: PromptDraft, hasTokenizer: boolean): Prompt | string {
  if (promptKind(draft, hasTokenizer) === "text") {
    return draft.text === "" ? "the prompt is empty" : { kind: "text", text: draft.text };
  }
  const words = draft.ids.split(/[\s,]+/).filter((word) => word !== "");
  if (words.length === 0) return "no token ids: write numbers separated by spaces or commas";
  const ids = words.map(Number);
  const wrong = ids.findIndex((id) => !Number.isSafeInteger(id) || id < 0);
  return wrong < 0 ? { kind: "ids", ids } : `"${words[wrong]}" is not a token id`;
}

function no(problem: string): DraftCheck {
  return { ok: false, problem };
}
