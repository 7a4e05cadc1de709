/** Tokenizers: text and ids both ways, streams that never show half a character, and damaged files. */
import { join } from "node:path";
import { Tokenizer as LibraryTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { encodePrompt, openTokenizer } from "../../../electron/session/tokenizer.ts";
import { failureOf, temporaryFolder, writeFiles } from "./files.ts";

/** The characters that byte-level BPE writes bytes as (GPT-2's table). */
function byteCharacters(): readonly string[] {
  const printable = (byte: number) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
}

/** One token per byte, one merge, and a special token: ids 0 to 257. */
function byteLevelTokenizer() {
  const vocab = Object.fromEntries([...byteCharacters(), "he"].map((token, id) => [token, id]));
  return {
    version: "1.0",
    added_tokens: [{ id: 257, content: "<|end|>", special: true, normalized: false }],
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: "ByteLevel" },
    model: { type: "BPE", vocab, merges: ["h e"], unk_token: null, fuse_unk: false, byte_fallback: false },
  };
}

async function open(files: Readonly<Record<string, string | object>>) {
  const path = await temporaryFolder();
  await writeFiles(path, files);
  return openTokenizer({ path, hasTokenizer: "tokenizer.json" in files });
}

async function openByteLevel() {
  const tokenizer = await open({ "tokenizer.json": byteLevelTokenizer() });
  if (tokenizer === undefined) throw new Error("no tokenizer");
  return tokenizer;
}

test("text to ids and back", async () => {
  const tokenizer = await openByteLevel();
  expect(tokenizer.encode("hey")).toEqual([256, 121]);
  expect(tokenizer.decode([256, 121])).toBe("hey");
  expect(tokenizer.encode("a<|end|>")).toEqual([97, 257]);
  expect(tokenizer.decode([97, 257])).toBe("a<|end|>");
});

describe("a stream", () => {
  test("shows a character only when it is whole", async () => {
    const tokenizer = await openByteLevel();
    const stream = tokenizer.stream();
    const pieces = [...Buffer.from("a€😀b")].map((byte) => stream.push(byte));
    expect(pieces).toEqual(["a", "", "", "€", "", "", "", "😀", "b"]);
    expect(stream.end()).toBe("");
  });

  test("gives an unfinished character at the end as what it is", async () => {
    const stream = (await openByteLevel()).stream();
    expect([stream.push(97), stream.push(0xe2), stream.push(0x82)]).toEqual(["a", "", ""]);
    expect(stream.end()).toBe("\uFFFD");
  });

  test("adds up to the whole text, whatever the tokens", async () => {
    const tokenizer = await openByteLevel();
    const tokens = fc.array(fc.oneof(fc.nat(257), fc.integer({ min: 0x80, max: 0xff })), { maxLength: 40 });
    const broken = fc.array(fc.integer({ min: 0x80, max: 0xff }), { minLength: 20, maxLength: 80 });
    fc.assert(
      fc.property(fc.oneof(tokens, broken), (ids) => {
        const stream = tokenizer.stream();
        expect(ids.map((id) => stream.push(id)).join("") + stream.end()).toBe(tokenizer.decode(ids));
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        const stream = tokenizer.stream();
        expect(
          tokenizer
            .encode(text)
            .map((id) => stream.push(id))
            .join("") + stream.end(),
        ).toBe(text);
      }),
    );
  });
});

test("bytes that never become a character are not decoded from their start again and again", async () => {
  const tokenizer = await openByteLevel();
  const decode = vi.spyOn(LibraryTokenizer.prototype, "decode");
  onTestFinished(() => decode.mockRestore());
  const stream = tokenizer.stream();
  const ids = Array.from({ length: 1000 }, () => 0xff);
  expect(ids.map((id) => stream.push(id)).join("") + stream.end()).toBe("\uFFFD".repeat(1000));
  expect(Math.max(...decode.mock.calls.map(([given]) => given.length))).toBeLessThan(100);
});

test("the demo's tokenizer, as the tokenizers library wrote it", async () => {
  const tokenizer = await openTokenizer({
    path: join(import.meta.dirname, "../../../assets/demo"),
    hasTokenizer: true,
  });
  const text = "The harbour was quiet.";
  const ids = tokenizer?.encode(text) ?? [];
  expect(ids.length).toBeGreaterThan(3);
  expect(tokenizer?.decode(ids)).toContain(text);
  const stream = tokenizer?.stream();
  expect(ids.map((id) => stream?.push(id)).join("") + stream?.end()).toBe(tokenizer?.decode(ids));
});

test("ids past the vocabulary, which models with padded embeddings produce, decode to something", async () => {
  const tokenizer = await openByteLevel();
  expect(tokenizer.decode([97, 99999, 98])).toContain("a");
  const stream = tokenizer.stream();
  expect([97, 99999, 98].map((id) => stream.push(id)).join("")).toContain("b");
});

test("without tokenizer.json prompts are ids, and the error says so", async () => {
  const tokenizer = await open({});
  expect(tokenizer).toBeUndefined();
  const error = await failureOf(() => encodePrompt(tokenizer, "hello"));
  expect(error).toMatchObject({ code: "bad_argument", file: "tokenizer.json" });
  expect(error.hint).toContain("token ids");
});

describe("damaged files", () => {
  const valid = byteLevelTokenizer();
  test.each<[what: string, tokenizer: string | object]>([
    ["not JSON", "{"],
    ["a list", "[]"],
    ["no model", { ...valid, model: undefined }],
    ["an unknown model", { ...valid, model: { type: "Nonsense" } }],
    ["no vocabulary", { ...valid, model: { type: "BPE" } }],
    ["merges that are not text", { ...valid, model: { ...valid.model, merges: 7 } }],
    ["added tokens that are not a list", { ...valid, added_tokens: 7 }],
    ["an unknown decoder", { ...valid, decoder: { type: "Nonsense" } }],
  ])("%s", async (_, content) => {
    const error = await failureOf(() => open({ "tokenizer.json": content }));
    expect(error.code).toBe("checkpoint_invalid");
    expect(error.file).toMatch(/tokenizer\.json$/);
    expect(error.message).toContain("tokenizer.json");
  });

  test("tokenizer_config.json", async () => {
    const error = await failureOf(() => open({ "tokenizer.json": valid, "tokenizer_config.json": "{" }));
    expect(error.file).toMatch(/tokenizer_config\.json$/);
  });
});
