/** The safetensors header and the shard index: real files, written ones, and every lie the format's own reader rejects. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { headerBytes, makeHeader, parseHeader, tensorBytes } from "../../../core/checkpoint/safetensors.ts";
import { parseIndex, selectIndexed } from "../../../core/checkpoint/shard-index.ts";
import { FIXTURES, failureOf } from "./files.ts";

const encode = (text: string) => new TextEncoder().encode(text);
/** Parses a header whose file has `dataBytes` after it. */
const parse = (json: string, dataBytes: number) => {
  const bytes = encode(json);
  return parseHeader(bytes, 8 + bytes.byteLength + dataBytes, "w.safetensors");
};
const tensor = (begin: number, end: number, rest: object = {}) => ({
  dtype: "F32",
  shape: [(end - begin) / 4],
  data_offsets: [begin, end],
  ...rest,
});
const length = (value: bigint) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
};

describe("the header", () => {
  test("of a file written by transformers", async () => {
    const file = join(FIXTURES, "tiny-llama-gqa", "model.safetensors");
    const bytes = await readFile(file);
    const size = headerBytes(bytes.subarray(0, 8), bytes.byteLength, file);
    const header = parseHeader(bytes.subarray(8, 8 + size), bytes.byteLength, file);
    expect(header.metadata).toEqual({ format: "pt" });
    expect(header.tensors).toHaveLength(30);
    expect(header.tensors.find(({ name }) => name === "model.layers.2.self_attn.k_proj.weight")).toMatchObject({
      dtype: "F32",
      shape: [32, 64],
      bytes: 8192,
      file,
    });
  });

  test("survives a round trip, and its data starts aligned", () => {
    const shape = fc.array(fc.nat(9), { maxLength: 4 });
    const tensors = fc.uniqueArray(
      fc.record({ name: fc.string(), dtype: fc.constantFrom("F32", "F16", "BF16", "I64", "U8"), shape }),
      { selector: ({ name }) => name, maxLength: 12 },
    );
    const valid = tensors.filter((list) => list.every(({ name }) => name !== "__metadata__" && /^[^\0]+$/.test(name)));
    fc.assert(
      fc.property(valid, fc.dictionary(fc.string(), fc.string()), (list, metadata) => {
        const header = makeHeader(list, metadata);
        const dataBytes = list.reduce((sum, { dtype, shape }) => sum + (tensorBytes(dtype, shape) ?? Number.NaN), 0);
        expect(header.byteLength % 8).toBe(0);
        const fileBytes = header.byteLength + dataBytes;
        expect(headerBytes(header.subarray(0, 8), fileBytes, "w")).toBe(header.byteLength - 8);
        const read = parseHeader(header.subarray(8), fileBytes, "w");
        const names = (entries: readonly { readonly name: string }[]) => entries.map(({ name }) => name).sort();
        expect(names(read.tensors)).toEqual(names(list));
        expect(new Map(Object.entries(read.metadata))).toEqual(new Map(Object.entries(metadata)));
      }),
      { numRuns: 200 },
    );
  });

  test("keeps every key of the metadata", () => {
    const metadata = JSON.parse('{"__proto__":"a","format":"pt"}');
    const header = makeHeader([], metadata);
    expect(Object.keys(parseHeader(header.subarray(8), header.byteLength, "w").metadata)).toEqual([
      "__proto__",
      "format",
    ]);
  });

  test("accepts an empty tensor and a scalar", () => {
    const header = parse(JSON.stringify({ a: tensor(0, 0, { shape: [0, 7] }), b: tensor(0, 4, { shape: [] }) }), 4);
    expect(header.tensors.map(({ name, bytes }) => [name, bytes])).toEqual([
      ["a", 0],
      ["b", 4],
    ]);
  });

  test("keeps dtypes it does not know, for the engine to refuse by name", () => {
    expect(parse(JSON.stringify({ a: tensor(0, 4, { dtype: "F128" }) }), 4).tensors[0]?.dtype).toBe("F128");
  });

  test("a 40 MB metadata string is no problem", () => {
    const text = "x\\n".repeat(13_000_000);
    expect(Object.keys(parse(`{"__metadata__":{"k":"${text}"}}`, 0).metadata)).toEqual(["k"]);
  });
});

describe("lies about the length", () => {
  test.each<[what: string, start: Uint8Array, fileBytes: number, message: string]>([
    ["empty file", new Uint8Array(0), 0, "cut short"],
    ["five bytes", new Uint8Array(5), 5, "cut short"],
    ["past the end", length(100n), 50, "the file has only 50"],
    ["past the format's bound", length(100_000_001n), 2 ** 40, "the format allows 100000000"],
    ["2^64 - 1", length(2n ** 64n - 1n), 2 ** 40, "the format allows 100000000"],
  ])("%s", async (_, start, fileBytes, message) => {
    const error = await failureOf(() => headerBytes(start, fileBytes, "w.safetensors"));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: "w.safetensors", field: "header" });
    expect(error.message).toContain(message);
  });
});

describe("lies in the header", () => {
  const two = (a: object, b: object) => JSON.stringify({ a, b });
  test.each<[what: string, json: string, dataBytes: number, expected: { tensor?: string; message: string }]>([
    ["not JSON", "{", 0, { message: "not JSON" }],
    ["not an object", "[]", 0, { message: "JSON object" }],
    ["a byte order mark", "\uFEFF{}", 0, { message: "not JSON" }],
    ["nested past the stack", "[".repeat(200_000), 0, { message: "not JSON" }],
    [
      "a tensor twice",
      `{"a":${JSON.stringify(tensor(0, 4))},"\\u0061":${JSON.stringify(tensor(0, 4))}}`,
      4,
      { message: "a is there twice" },
    ],
    ["metadata that is not text", `{"__metadata__":{"k":1}}`, 0, { message: "__metadata__" }],
    ["metadata that is a list", `{"__metadata__":[]}`, 0, { message: "__metadata__" }],
    ["an entry that is null", `{"a":null}`, 0, { tensor: "a", message: "a is null" }],
    ["an unknown field", JSON.stringify({ a: tensor(0, 4, { extra: 1 }) }), 4, { tensor: "a", message: "extra" }],
    ["no dtype", JSON.stringify({ a: tensor(0, 4, { dtype: undefined }) }), 4, { tensor: "a", message: "a.dtype" }],
    [
      "a fractional size",
      JSON.stringify({ a: tensor(0, 4, { shape: [0.5] }) }),
      4,
      { tensor: "a", message: "a.shape" },
    ],
    ["a negative size", JSON.stringify({ a: tensor(0, 4, { shape: [-1] }) }), 4, { tensor: "a", message: "a.shape" }],
    [
      "one offset",
      JSON.stringify({ a: tensor(0, 4, { data_offsets: [4] }) }),
      4,
      { tensor: "a", message: "data_offsets" },
    ],
    [
      "a fractional offset",
      JSON.stringify({ a: tensor(0, 4, { data_offsets: [0, 3.5] }) }),
      4,
      { tensor: "a", message: "data_offsets" },
    ],
    [
      "a negative offset",
      JSON.stringify({ a: tensor(0, 4, { data_offsets: [-4, 0] }) }),
      4,
      { tensor: "a", message: "data_offsets" },
    ],
    [
      "an offset past 2^53",
      `{"a":{"dtype":"F32","shape":[1],"data_offsets":[9007199254740992,9007199254740996]}}`,
      4,
      { tensor: "a", message: "data_offsets" },
    ],
    [
      "begin after end",
      JSON.stringify({ a: tensor(0, 4, { data_offsets: [4, 0] }) }),
      4,
      { tensor: "a", message: "its end lies before its begin" },
    ],
    [
      "a shape that overflows",
      JSON.stringify({ a: tensor(0, 4, { shape: [2 ** 40, 2 ** 40] }) }),
      4,
      { tensor: "a", message: "overflows" },
    ],
    [
      "a shape past every number",
      JSON.stringify({ a: tensor(0, 4, { shape: Array(30).fill(2 ** 50) }) }),
      4,
      { tensor: "a", message: "overflows" },
    ],
    [
      "a shape of another size",
      JSON.stringify({ a: tensor(0, 4, { shape: [2] }) }),
      4,
      { tensor: "a", message: "span 4 bytes" },
    ],
    [
      "a dtype of another size",
      JSON.stringify({ a: tensor(0, 4, { dtype: "F64" }) }),
      4,
      { tensor: "a", message: "span 4 bytes" },
    ],
    ["overlap", two(tensor(0, 8), tensor(4, 12)), 12, { tensor: "b", message: "overlaps" }],
    ["the same bytes twice", two(tensor(0, 8), tensor(0, 8)), 8, { tensor: "b", message: "overlaps" }],
    ["a hole", two(tensor(0, 4), tensor(8, 12)), 12, { tensor: "b", message: "hole" }],
    ["data cut short", two(tensor(0, 4), tensor(4, 12)), 8, { tensor: "b", message: "cut short" }],
    ["bytes that nobody covers", two(tensor(0, 4), tensor(4, 12)), 16, { message: "no tensor covers" }],
  ])("%s", async (_, json, dataBytes, { tensor: name, message }) => {
    const error = await failureOf(() => parse(json, dataBytes));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: "w.safetensors" });
    expect(error.message).toContain(message);
    expect(error.tensor).toBe(name);
  });

  test("text that is not UTF-8", async () => {
    const error = await failureOf(() => parseHeader(new Uint8Array([0x7b, 0xff, 0x7d]), 11, "w.safetensors"));
    expect(error).toMatchObject({ code: "checkpoint_invalid", field: "header" });
  });

  test("what cannot be written", async () => {
    expect(await failureOf(() => makeHeader([{ name: "a", dtype: "F128", shape: [1] }]))).toMatchObject({
      code: "bad_argument",
      tensor: "a",
    });
    const twice = { name: "a", dtype: "F32", shape: [1] };
    expect(await failureOf(() => makeHeader([twice, twice]))).toMatchObject({ code: "bad_argument", tensor: "a" });
  });
});

describe("the shard index", () => {
  const file = "model.safetensors.index.json";
  const entry = (name: string, shard: string) => ({ name, dtype: "F32", shape: [1], file: shard, offset: 8, bytes: 4 });

  test("lists each shard once and finds each tensor in its own", () => {
    const index = parseIndex(
      JSON.stringify({ metadata: {}, weight_map: { x: "b.safetensors", y: "a.safetensors", z: "b.safetensors" } }),
      file,
    );
    expect(index.shards).toEqual(["a.safetensors", "b.safetensors"]);
    const tensors = selectIndexed(
      index,
      new Map([
        ["a.safetensors", [entry("y", "a"), entry("x", "a")]],
        ["b.safetensors", [entry("x", "b"), entry("z", "b")]],
      ]),
      file,
    );
    expect(tensors.map((found) => [found.name, found.file])).toEqual([
      ["x", "b"],
      ["y", "a"],
      ["z", "b"],
    ]);
  });

  test("a tensor that its shard lacks", async () => {
    const index = parseIndex(JSON.stringify({ weight_map: { x: "a.safetensors" } }), file);
    const error = await failureOf(() => selectIndexed(index, new Map([["a.safetensors", [entry("y", "a")]]]), file));
    expect(error).toMatchObject({ code: "checkpoint_invalid", tensor: "x", field: "weight_map.x", file });
  });

  test.each([
    "../a.safetensors",
    "/etc/a.safetensors",
    "sub/a.safetensors",
    "..\\a.safetensors",
    "a\0.safetensors",
    "a.bin",
    ".safetensors/..",
    "",
    7,
    null,
  ])("a file name that is not plain: %j", async (name) => {
    const error = await failureOf(() => parseIndex(JSON.stringify({ weight_map: { x: name } }), file));
    expect(error).toMatchObject({ code: "checkpoint_invalid", field: "weight_map.x", tensor: "x", file });
  });

  test.each([
    "{}",
    '{"weight_map":[]}',
    '{"weight_map":{}}',
    '{"weight_map":{"x":"a.safetensors","x":"b.safetensors"}}',
  ])("%s", async (text) => {
    expect(await failureOf(() => parseIndex(text, file))).toMatchObject({ code: "checkpoint_invalid", file });
  });
});
