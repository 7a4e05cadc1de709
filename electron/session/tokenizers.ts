/**
 * The tokenizer of each checkpoint in use, read once. Opening a checkpoint reads it first, so that a damaged one is an
 * error of opening and not of the first prompt.
 */
import type { CheckpointSummary } from "../../core/contract/state.ts";
import { openTokenizer, type Tokenizer } from "./tokenizer.ts";

/** Checkpoints that one session swaps between; a tokenizer of a large vocabulary takes tens of MB. */
const MAX_KEPT = 4;

export class Tokenizers {
  readonly #kept = new Map<string, Promise<Tokenizer | undefined>>();

  /** @throws TidelineError of the tokenizer's file; undefined for a checkpoint without one. */
  of(checkpoint: Pick<CheckpointSummary, "path" | "hasTokenizer">): Promise<Tokenizer | undefined> {
    const known = this.#kept.get(checkpoint.path);
    return known ?? this.read(checkpoint);
  }

  /** As `of`, but reads the file again: it may have changed since. */
  async read(checkpoint: Pick<CheckpointSummary, "path" | "hasTokenizer">): Promise<Tokenizer | undefined> {
    const reading = openTokenizer(checkpoint);
    this.#kept.delete(checkpoint.path);
    const tokenizer = await reading;
    this.#kept.set(checkpoint.path, reading);
    const oldest = this.#kept.keys().next();
    if (this.#kept.size > MAX_KEPT && !oldest.done) this.#kept.delete(oldest.value);
    return tokenizer;
  }
}
