/**
 * What a person reads who gives Tideline a bad file, of every kind that it takes: one sentence with the file, what is
 * wrong with it and what to do next, and never the words of a library, a parser or the system.
 */
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { makeHeader } from "../../../core/checkpoint/safetensors.ts";
import { formatPlan } from "../../../core/planner/plan-file.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { formatSchedule, parseSchedule } from "../../../core/schedule/file.ts";
import { readPlan } from "../../../electron/cli/plan/read-plan.ts";
import { readRunFile } from "../../../electron/ppo/run-files.ts";
import { readWorkload } from "../../../electron/ppo/workload-settings.ts";
import { openCheckpoint, readHeader } from "../../../electron/session/checkpoint.ts";
import { openTokenizer } from "../../../electron/session/tokenizer.ts";
import { failureOf, LLAMA_CONFIG } from "../checkpoint/files.ts";
import { planWith } from "../planner/plans.ts";
import { ROLES, strategies } from "../schedule/support.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tideline-bad-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

interface Kind {
  readonly name: string;
  /** What a good one holds. */
  readonly text: string;
  /** Files beside it that are as they have to be. */
  readonly beside?: Readonly<Record<string, string | Uint8Array>>;
  readonly read: (file: string, folder: string) => Promise<unknown>;
  /** Fields that are wrong, and what is said of them. */
  readonly fields: readonly (readonly [from: string, to: string, words: string])[];
}

const CONFIG = JSON.stringify(LLAMA_CONFIG);
const WEIGHT = Buffer.concat([makeHeader([{ name: "w", dtype: "BF16", shape: [2] }]), new Uint8Array(4)]);
const TOKENIZER = JSON.stringify({
  added_tokens: [{ id: 3, content: "<end>", special: true }],
  normalizer: null,
  pre_tokenizer: { type: "ByteLevel", add_prefix_space: false },
  model: { type: "BPE", vocab: { a: 0, b: 1, ab: 2 }, merges: ["a b"] },
  post_processor: null,
  decoder: { type: "ByteLevel" },
});

const KINDS: readonly Kind[] = [
  {
    name: "plan.json",
    text: formatPlan(planWith()),
    read: (file) => readPlan(file, "host"),
    fields: [
      ['"version": 1', '"version": 2', ": version is 2"],
      ['"batch":', '"batsh":', ": workload.batsh is not a field here"],
      ['"microBatch": 1', '"microBatch": -1', ": workload.microBatch is -1: must be"],
      ['"microBatch": 1', '"microBatch": 1e999', ": workload.microBatch is Infinity: must be"],
    ],
  },
  {
    name: "schedule.json",
    text: formatSchedule(buildSchedule(strategies({}), ROLES)),
    read: async (file) => parseSchedule(await readRunFile(file, "schedule"), file),
    fields: [
      ['"version": 1', '"version": "1"', ': version is "1"'],
      ['"work": "rollout"', '"work": "roll"', ': phase 1 (roll), work is "roll"'],
    ],
  },
  {
    name: "workload.json",
    text: JSON.stringify({
      version: 1,
      task: "addition",
      roles: { policy: "p", critic: "c", reference: "r" },
      rollouts: 4,
      maxNewTokens: 4,
      sequenceTokens: 16,
      klCoefficient: 0.1,
      optimizer: { policy: { learningRate: 1 }, critic: { learningRate: 1 } },
      device: { capacityBytes: 1024, kvCacheBytes: 1024 },
    }),
    read: readWorkload,
    fields: [
      ['"version":1', '"version":0', ": version is 0"],
      ['"rollouts":4', '"rollouts":0', ": rollouts is 0: must be a whole number from 1 to 1048576"],
      ['"rollouts":4', '"rolouts":4', ": rolouts is not a field here"],
      ['"capacityBytes":1024', '"capacityBytes":1e300', ": device.capacityBytes is 1e+300: must be at most"],
      ['"task":"addition",', "", ": task is missing: must be text"],
    ],
  },
  {
    name: "config.json",
    text: CONFIG,
    beside: { "model.safetensors": WEIGHT },
    read: (_, parent) => openCheckpoint(parent),
    fields: [
      ['"hidden_size":16', '"hidden_size":"16"', ': hidden_size is "16": must be a whole number from 1 to 131072'],
      ['"hidden_size":16,', "", ": hidden_size is missing: must be a whole number from 1 to 131072"],
      ['"hidden_size":16', '"hidden_size":1e999', ": hidden_size is Infinity: must be a whole number"],
      ['"rope_theta":10000', '"rope_theta":[1]', ": rope_parameters.rope_theta is [1]: must be a number from 1"],
      ['["LlamaForCausalLM"]', "[7]", ": architectures[0] is 7: must be text"],
      ['"eos_token_id":2', '"eos_token_id":"2"', ': eos_token_id is "2": must be a token id'],
    ],
  },
  {
    name: "generation_config.json",
    text: '{"eos_token_id":[2,9]}',
    beside: { "config.json": CONFIG, "model.safetensors": WEIGHT },
    read: (_, parent) => openCheckpoint(parent),
    fields: [["[2,9]", "[2,-9]", ": eos_token_id[1] is -9: must be a whole number from 0"]],
  },
  {
    name: "model.safetensors.index.json",
    text: '{"weight_map":{"w":"one.safetensors"}}',
    beside: { "config.json": CONFIG, "one.safetensors": WEIGHT },
    read: (_, parent) => openCheckpoint(parent),
    fields: [
      ["weight_map", "weights", ": weight_map is missing: must be an object"],
      ['"one.safetensors"', '"../one.safetensors"', ': weight_map.w is "../one.safetensors": must be the name of'],
      ['"one.safetensors"', '"one.safetensors","w":"one.safetensors"', ": weight_map.w is there twice"],
      ['"w"', '"v"', ": weight_map.v is one.safetensors, but that file has no such tensor"],
    ],
  },
  {
    name: "tokenizer.json",
    text: TOKENIZER,
    read: (_, parent) => openTokenizer({ path: parent, hasTokenizer: true }),
    fields: [
      ['"id":3', '"id":-3', ": added_tokens[0].id is -3: must be a whole number from 0"],
      ['"vocab":{"a":0', '"vocab":{"a":"0"', ": model.vocab must give every token its id"],
      ['"merges":["a b"]', '"merges":7', ": model.merges is 7: must be a list"],
      ['"decoder":{', '"decoders":{', ": decoder is missing: must be an object"],
      [
        '"decoder":{"type":"ByteLevel"}',
        '"decoder":{"type":"Odd"}',
        ' cannot be used: of normalizer null, pre_tokenizer "ByteLevel", model "BPE", post_processor null, decoder "Odd", one is',
      ],
    ],
  },
  {
    name: "tokenizer_config.json",
    text: '{"additional_special_tokens":[]}',
    beside: { "tokenizer.json": TOKENIZER },
    read: (_, parent) => openTokenizer({ path: parent, hasTokenizer: true }),
    fields: [["[]", '"x"', ': additional_special_tokens is "x": must be a list']],
  },
];

/** What the system, JSON.parse, zod and the tokenizers library say. */
const FOREIGN = /Unexpected|in JSON|JSON at|Invalid|expected|received|ENOENT|EISDIR|EACCES|Error|undefined|\bat \S+:\d/;

async function place({ name, beside = {} }: Kind): Promise<string> {
  const parent = await mkdtemp(join(folder, "case-"));
  for (const [other, content] of Object.entries(beside)) await writeFile(join(parent, other), content);
  return join(parent, name);
}

async function expectRefusal({ read }: Kind, file: string, words: string): Promise<void> {
  const error = await failureOf(() => read(file, join(file, "..")));
  expect(error.message.startsWith(`${file}${words}`), `${error.message} – ${words}`).toBe(true);
  expect(error.file).toBe(file);
  expect(`${error.message} ${error.hint ?? ""}`.replaceAll(file, "")).not.toMatch(FOREIGN);
  expect(error.message).not.toContain("\n");
  expect(error.hint ?? error.message).toMatch(/^allowed: |must be|\.$/);
}

describe.each(KINDS)("$name", (kind) => {
  it("as it has to be is taken, with a byte order mark and CRLF too", async () => {
    const file = await place(kind);
    await writeFile(file, kind.text);
    await kind.read(file, join(file, ".."));
    await writeFile(file, `\uFEFF${kind.text.replaceAll("\n", "\r\n")}\r\n`);
    await kind.read(file, join(file, ".."));
  });

  it.each<readonly [what: string, content: string | Uint8Array, words: string]>([
    ["empty", "", " is empty"],
    ["not JSON", "hello", ' is not JSON: line 1, column 1 has "hello" where a value has to be'],
    ["cut in the middle", kind.text.slice(0, kind.text.indexOf(":") + 1), " is not JSON: it ends in line"],
    ["binary", new Uint8Array([0x7f, 0x45, 0x4c, 0x46, 0xff, 0xfe]), " is not text in UTF-8"],
    ["zeros", new Uint8Array(64), " is not JSON: line 1, column 1 has a character that is no text"],
    ["UTF-16", Buffer.from("\uFEFF{}", "utf16le"), " is not text in UTF-8"],
  ])("%s", async (_, content, words) => {
    const file = await place(kind);
    await writeFile(file, content);
    await expectRefusal(kind, file, words);
  });

  it("a list instead of an object", async () => {
    const file = await place(kind);
    await writeFile(file, "[]");
    await expectRefusal(kind, file, " ");
  });

  it("a folder", async () => {
    const file = await place(kind);
    await mkdir(file);
    await expectRefusal(kind, file, " is a folder, not a file");
  });

  it("2 GiB, refused before it is read", async () => {
    const file = await place(kind);
    await writeFile(file, "");
    await truncate(file, 2 ** 31);
    await expectRefusal(kind, file, " has 2.00 GiB: must have at most");
  });

  it("one that this user may not read", async () => {
    const file = await place(kind);
    await writeFile(file, kind.text);
    await chmod(file, 0o000);
    // Root reads everything.
    if (process.getuid?.() === 0) await kind.read(file, join(file, ".."));
    else await expectRefusal(kind, file, " may not be read by this user");
  });

  it.each(kind.fields)("%s becomes %s", async (from, to, words) => {
    expect(kind.text).toContain(from);
    const file = await place(kind);
    await writeFile(file, kind.text.replace(from, to));
    await expectRefusal(kind, file, words);
  });
});

describe("model.safetensors", () => {
  const file = () => join(folder, "model.safetensors");
  const withHeader = (json: string) => {
    const length = new Uint8Array(8);
    new DataView(length.buffer).setBigUint64(0, BigInt(Buffer.byteLength(json)), true);
    return Buffer.concat([length, Buffer.from(json), new Uint8Array(4)]);
  };
  const ENTRY = '{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}';

  const AGAIN = /download or export it again/;
  it.each<readonly [what: string, content: string | Uint8Array, words: string, hint: RegExp]>([
    ["empty", "", ": header is cut short: the file has 0 bytes", AGAIN],
    ["text", "hello world", ' is text, not safetensors: it begins with "hello wo"', AGAIN],
    ["a page", "<!DOCTYPE html>", ' is text, not safetensors: it begins with "<!DOCTYP"', AGAIN],
    ["left by Git LFS", "version https://git-lfs.github.com/spec/v1\n", " is a pointer of Git LFS", /git lfs pull/],
    [
      "a program",
      Buffer.from("\x7fELF\x02\x01\x01\x00", "latin1"),
      ": header claims 282584257676671 bytes, the format",
      AGAIN,
    ],
    ["a header that is not JSON", withHeader("{w}"), ': header is not JSON: line 1, column 2 has "w"', AGAIN],
    ["a header with a byte order mark", withHeader(`\uFEFF${ENTRY}`), ": header is not JSON: line 1, column 1", AGAIN],
    ["a header cut in the middle", withHeader(ENTRY.slice(0, 20)), ": header is not JSON: it ends in line 1", AGAIN],
    ["a list", withHeader("[]"), ": header must hold a JSON object", AGAIN],
    ["no dtype", withHeader(ENTRY.replace('"dtype":"F32",', "")), ": w.dtype is missing: must be text", AGAIN],
    [
      "a negative size",
      withHeader(ENTRY.replace("[1]", "[2,-1]")),
      ": w.shape[1] is -1: must be a whole number",
      AGAIN,
    ],
    [
      "an infinite size",
      withHeader(ENTRY.replace("[1]", "[1e999]")),
      ": w.shape[0] is Infinity: must be a whole",
      AGAIN,
    ],
    ["one offset", withHeader(ENTRY.replace("[0,4]", "[0]")), ": w.data_offsets is [0]: must be a list of two", AGAIN],
    ["an unknown field", withHeader(ENTRY.replace("shape", "form")), ": w.form is not a field here", /dtype, shape/],
    ["a tensor twice", withHeader(ENTRY.replace("{", '{"w":{},')), ": w is there twice", AGAIN],
  ])("%s", async (_, content, words, hint) => {
    await writeFile(file(), content);
    const error = await failureOf(() => readHeader(file()));
    expect(error.message).toContain(`${file()}${words}`);
    expect(error.hint).toMatch(hint);
    expect(error.message.replaceAll(file(), "")).not.toMatch(FOREIGN);
  });

  it("of 2 GiB of nothing: only its beginning is read", async () => {
    await writeFile(file(), "");
    await truncate(file(), 2 ** 31);
    expect((await failureOf(() => readHeader(file()))).message).toBe(`${file()}: header is empty`);
  });
});
