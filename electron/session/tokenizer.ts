/**
 * Text to token ids and back, from a checkpoint's tokenizer.json. A checkpoint without one still runs: its prompts are
 * then ids.
 */
import { join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import { z } from "zod";
import { checkpointFile } from "../../core/checkpoint/checkpoint-file.ts";
import { tokenIdSchema } from "../../core/checkpoint/model-config.ts";
import { TidelineError } from "../../core/errors.ts";
import { refusal, type Source, shown, valueAt } from "../../core/input/fault.ts";
import { isJsonObject, type JsonObject, parseJsonObject } from "../../core/input/json.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { isErrno } from "./files.ts";
import { readTextFile } from "./input-file.ts";

/** Largest tokenizer.json taken; those of 256k-word vocabularies have about 35 MB. */
const MAX_TOKENIZER_BYTES = 256 * 2 ** 20;

/** A character in UTF-8. */
const MAX_CHARACTER_BYTES = 4;
/** What a stream holds back is decoded anew with every token: from here on it is looked for a part that can be let go. */
const MANY_TOKENS = 16;

const partSchema = z.looseObject({ type: z.string() }).nullable();
/** Looked at in one go: there may be hundreds of thousands. */
const vocabularySchema = z.custom<JsonObject | unknown[]>(isVocabulary, {
  error: "must give every token its id, or score",
});
/** As far as the library takes it for granted. */
const tokenizerSchema = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: tokenIdSchema, content: z.string() })),
  normalizer: partSchema,
  pre_tokenizer: partSchema,
  model: z.looseObject({
    type: z.string().optional(),
    vocab: vocabularySchema,
    merges: z.array(z.unknown()).optional(),
  }),
  post_processor: partSchema,
  decoder: partSchema,
});
const PARTS = ["normalizer", "pre_tokenizer", "model", "post_processor", "decoder"] as const;
const settingsSchema = z.looseObject({ additional_special_tokens: z.array(z.unknown()).nullish() });

export interface Tokenizer {
  /** With the special tokens that the model expects in front. */
  encode(text: string): number[];
  /** Special tokens are shown. */
  decode(ids: readonly number[]): string;
  /** For one sequence that arrives token by token. */
  stream(): TokenStream;
}

export interface TokenStream {
  /** The text that `id` completes: empty while it ends within a character. */
  push(id: number): string;
  /** What is still held back: a character the model never finished. */
  end(): string;
}

/**
 * The tokenizer of a checkpoint, or undefined when it has none.
 * @throws TidelineError checkpoint_unreadable, or checkpoint_invalid naming the file when it is malformed.
 */
export async function openTokenizer(
  checkpoint: Pick<Checkpoint, "path" | "hasTokenizer">,
): Promise<Tokenizer | undefined> {
  if (!checkpoint.hasTokenizer) return undefined;
  const source = tokenizerFile(join(checkpoint.path, "tokenizer.json"));
  const description = await readObject(source, tokenizerSchema);
  const settings = await readSettings(tokenizerFile(join(checkpoint.path, "tokenizer_config.json")));
  return wrap(buildTokenizer(description, settings, source), source);
}

/**
 * The ids of a prompt given as text.
 * @throws TidelineError bad_argument when the checkpoint has no tokenizer.
 */
export function encodePrompt(tokenizer: Tokenizer | undefined, text: string): number[] {
  if (tokenizer !== undefined) return tokenizer.encode(text);
  throw new TidelineError({
    code: "bad_argument",
    message: "this checkpoint has no tokenizer.json, so a prompt cannot be text",
    hint: "Give the prompt as token ids (1,2,3), or put the model's tokenizer.json into its folder.",
    file: "tokenizer.json",
  });
}

function buildTokenizer(description: JsonObject, settings: JsonObject, source: Source): LibraryTokenizer {
  try {
    const tokenizer = new LibraryTokenizer(description, settings);
    // Parts of a damaged file only show in use.
    tokenizer.decode(tokenizer.encode("a").ids);
    return tokenizer;
  } catch (cause) {
    const kinds = PARTS.map((name) => `${name} ${shown(valueAt(description, [name, "type"]) ?? null)}`).join(", ");
    const message = `cannot be used: of ${kinds}, one is not known or does not fit the others`;
    throw refusal(source, { path: [], message }, { cause });
  }
}

function wrap(library: LibraryTokenizer, source: Source): Tokenizer {
  // The library refuses an empty list.
  const decode = (ids: readonly number[]) =>
    ids.length === 0
      ? ""
      : library.decode([...ids], { skip_special_tokens: false, clean_up_tokenization_spaces: false });
  return {
    encode(text) {
      try {
        return library.encode(text).ids;
      } catch (cause) {
        throw refusal(source, { path: ["model"], message: `cannot encode the text ${shown(text)}` }, { cause });
      }
    },
    decode,
    stream: () => new Stream(decode),
  };
}

/**
 * Decoders look at neighbours (a space goes before a word unless it is the first), so each step decodes from the start
 * of the last finished piece and gives what is new. Replacement characters at the end may still become a character and
 * are held back: up to three, as a character has at most four bytes.
 */
class Stream implements TokenStream {
  private readonly decode: (ids: readonly number[]) => string;
  /** The last finished piece, then what came after it. */
  private ids: number[] = [];
  private finishedIds = 0;
  /** Length of what was given of the text after the finished piece. */
  private given = 0;

  constructor(decode: (ids: readonly number[]) => string) {
    this.decode = decode;
  }

  push(id: number): string {
    this.ids.push(id);
    const text = this.unfinishedText();
    const sure = text.length - (/\uFFFD{1,3}$/.exec(text)?.[0].length ?? 0);
    if (sure === text.length) return this.finish(text);
    const piece = this.give(text, sure);
    this.settle(text);
    return piece;
  }

  end(): string {
    return this.finish(this.unfinishedText());
  }

  private unfinishedText(end = this.ids.length): string {
    return this.decode(this.ids.slice(0, end)).slice(this.decode(this.ids.slice(0, this.finishedIds)).length);
  }

  private give(text: string, end: number): string {
    const piece = text.slice(this.given, end);
    this.given = Math.max(this.given, end);
    return piece;
  }

  private finish(text: string): string {
    const piece = this.give(text, text.length);
    this.finishAt(this.ids.length, text);
    return piece;
  }

  /** Bytes that never become a character are finished once those behind them can no longer complete one. */
  private settle(text: string): void {
    const end = this.ids.length - MAX_CHARACTER_BYTES;
    if (end - this.finishedIds < MANY_TOKENS) return;
    const settled = this.unfinishedText(end);
    if (settled.length <= this.given && text.startsWith(settled)) this.finishAt(end, settled);
  }

  private finishAt(end: number, text: string): void {
    this.ids = this.ids.slice(this.finishedIds);
    this.finishedIds = end - this.finishedIds;
    this.given -= text.length;
  }
}

async function readSettings(source: Source): Promise<JsonObject> {
  try {
    return await readObject(source, settingsSchema);
  } catch (error) {
    // Only a missing file is fine: tokenizer.json says all that is needed.
    const cause = error instanceof Error ? error.cause : undefined;
    if (isErrno(cause) && cause.code === "ENOENT") return {};
    throw error;
  }
}

/** Ids by token, or as Unigram has it a list of tokens and scores. */
function isVocabulary(vocabulary: unknown): boolean {
  if (isJsonObject(vocabulary))
    return Object.values(vocabulary).every((id) => Number.isSafeInteger(id) && Number(id) >= 0);
  return Array.isArray(vocabulary) && vocabulary.every((entry) => Array.isArray(entry) && typeof entry[0] === "string");
}

/** The object in a file, as it was read: a schema's copy of it has no key "__proto__". */
async function readObject(source: Source, schema: z.ZodType): Promise<JsonObject> {
  const object = parseJsonObject(await readTextFile(source.name, MAX_TOKENIZER_BYTES), source);
  parseWith(schema, object, (fault) => refusal(source, fault));
  return object;
}

function tokenizerFile(file: string): Source {
  return checkpointFile(file, "Download the tokenizer's files again, or remove them and give prompts as token ids.");
}
