/** Opening real folders, and every folder that is not one. */
import { chmod, copyFile, mkdir, readdir, readFile, symlink, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../../core/checkpoint/config.ts";
import { makeHeader } from "../../../core/checkpoint/safetensors.ts";
import { openCheckpoint, writeCheckpoint } from "../../../electron/session/checkpoint.ts";
import type { DType, TensorView } from "../../../native/addon.d.ts";
import { FIXTURES, failureOf, LLAMA_CONFIG, temporaryFolder, writeFiles, zeroWeights } from "./files.ts";

const CONFIG = parseConfig(JSON.stringify(LLAMA_CONFIG), "config.json");

describe("a folder written by transformers", () => {
  test.each<[name: string, dtype: DType, totalBytes: number]>([
    ["tiny-llama-gqa", "float32", 718592],
    ["tiny-qwen2-tied", "bfloat16", 288192],
    ["tiny-qwen3-qknorm", "bfloat16", 374016],
  ])("%s", async (name, dtype, totalBytes) => {
    const checkpoint = await openCheckpoint(join(FIXTURES, name));
    expect(checkpoint).toMatchObject({ name, dtype, totalBytes, hasTokenizer: false, path: join(FIXTURES, name) });
    expect(checkpoint.parameters).toBe(totalBytes / (dtype === "float32" ? 4 : 2));
  });
});

test("the dtype is that of most bytes, not what config.json claims", async () => {
  const folder = await temporaryFolder();
  await writeFiles(folder, {
    "config.json": { ...LLAMA_CONFIG, dtype: "float32", torch_dtype: "float32" },
    "model.safetensors": zeroWeights(CONFIG, "F16"),
  });
  expect((await openCheckpoint(folder)).dtype).toBe("float16");
});

test("generation_config.json says where a chat model stops", async () => {
  const folder = await temporaryFolder();
  await writeFiles(folder, {
    "config.json": LLAMA_CONFIG,
    "model.safetensors": zeroWeights(CONFIG),
    "generation_config.json": { eos_token_id: [2, 9] },
  });
  expect((await openCheckpoint(folder)).config.eosTokenIds).toEqual([2, 9]);
});

test("links to files elsewhere, as download caches make them", async () => {
  const folder = await temporaryFolder();
  for (const file of ["config.json", "model.safetensors"]) {
    await symlink(join(FIXTURES, "tiny-llama-gqa", file), join(folder, file));
  }
  expect((await openCheckpoint(folder)).totalBytes).toBe(718592);
});

describe("shards", () => {
  const shard = (names: string[]) => {
    const header = makeHeader(names.map((name) => ({ name, dtype: "BF16", shape: [4] })));
    return Buffer.concat([header, new Uint8Array(names.length * 8)]);
  };
  const INDEX = { weight_map: { x: "one.safetensors", y: "two.safetensors" } };

  test("are read by their index", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      "config.json": LLAMA_CONFIG,
      "model.safetensors.index.json": INDEX,
      "one.safetensors": shard(["x"]),
      "two.safetensors": shard(["y"]),
    });
    const { tensors } = await openCheckpoint(folder);
    expect(tensors.map(({ name, file }) => [name, file])).toEqual([
      ["x", join(folder, "one.safetensors")],
      ["y", join(folder, "two.safetensors")],
    ]);
  });

  test("one is missing", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      "config.json": LLAMA_CONFIG,
      "model.safetensors.index.json": INDEX,
      "one.safetensors": shard(["x"]),
    });
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error).toMatchObject({
      code: "checkpoint_invalid",
      file: join(folder, "two.safetensors"),
      field: "weight_map",
    });
  });

  test("one lacks its tensor", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, {
      "config.json": LLAMA_CONFIG,
      "model.safetensors.index.json": INDEX,
      "one.safetensors": shard(["x"]),
      "two.safetensors": shard(["z"]),
    });
    expect(await failureOf(() => openCheckpoint(folder))).toMatchObject({ code: "checkpoint_invalid", tensor: "y" });
  });
});

describe("what is not a checkpoint", () => {
  test("a path that does not exist", async () => {
    const error = await failureOf(() => openCheckpoint("/no/such/model"));
    expect(error).toMatchObject({ code: "checkpoint_unreadable", file: "/no/such/model" });
  });

  test("a file", async () => {
    const file = join(FIXTURES, "tiny-llama-gqa", "config.json");
    const error = await failureOf(() => openCheckpoint(file));
    expect(error).toMatchObject({ code: "checkpoint_unreadable", file });
    expect(error.message).toContain("not a folder");
  });

  test("an empty folder", async () => {
    const error = await failureOf(async () => openCheckpoint(await temporaryFolder()));
    expect(error.code).toBe("checkpoint_invalid");
    expect(error.message).toContain("is empty");
  });

  test("weights without config.json", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "model.safetensors": zeroWeights(CONFIG) });
    expect(await failureOf(() => openCheckpoint(folder))).toMatchObject({
      code: "checkpoint_invalid",
      file: join(folder, "config.json"),
    });
  });

  test("config.json without weights", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "config.json": LLAMA_CONFIG });
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: join(folder, "model.safetensors") });
  });

  test("weights as a pickle", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "config.json": LLAMA_CONFIG, "pytorch_model.bin": "PK" });
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error.message).toContain("pytorch_model.bin");
    expect(error.hint).toContain("save_pretrained");
  });

  test("config.json that is a folder", async () => {
    const folder = await temporaryFolder();
    await mkdir(join(folder, "config.json"));
    expect(await failureOf(() => openCheckpoint(folder))).toMatchObject({
      code: "checkpoint_unreadable",
      file: join(folder, "config.json"),
    });
  });

  test.each<[what: string, target: string]>([
    ["leads nowhere", "gone.safetensors"],
    ["leads to itself", "model.safetensors"],
  ])("a link that %s", async (_, target) => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "config.json": LLAMA_CONFIG });
    await symlink(target, join(folder, "model.safetensors"));
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error).toMatchObject({ code: "checkpoint_unreadable", file: join(folder, "model.safetensors") });
  });

  test("a file this user may not read", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "config.json": LLAMA_CONFIG, "model.safetensors": zeroWeights(CONFIG) });
    await chmod(join(folder, "model.safetensors"), 0o000);
    const opening = openCheckpoint(folder);
    // Root reads everything.
    if (process.getuid?.() === 0) return expect(opening).resolves.toMatchObject({ dtype: "bfloat16" });
    const error = await failureOf(() => opening);
    expect(error).toMatchObject({ code: "checkpoint_unreadable", file: join(folder, "model.safetensors") });
    expect(error.hint).toContain("permissions");
  });

  test.each([0, 7, 8, 100, 5000, 300000])("weights cut to %i bytes", async (bytes) => {
    const folder = await temporaryFolder();
    for (const file of ["config.json", "model.safetensors"]) {
      await copyFile(join(FIXTURES, "tiny-llama-gqa", file), join(folder, file));
    }
    await truncate(join(folder, "model.safetensors"), bytes);
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error).toMatchObject({ code: "checkpoint_invalid", file: join(folder, "model.safetensors") });
  });

  test("weights in integers", async () => {
    const folder = await temporaryFolder();
    await writeFiles(folder, { "config.json": LLAMA_CONFIG, "model.safetensors": zeroWeights(CONFIG, "I16") });
    const error = await failureOf(() => openCheckpoint(folder));
    expect(error).toMatchObject({ code: "model_unsupported", file: join(folder, "model.safetensors") });
    expect(error.message).toContain("I16");
  });
});

describe("writing", () => {
  const VIEWS: readonly TensorView[] = [{ name: "model.norm.weight", dtype: "F16", shape: [3], offset: 0, bytes: 6 }];
  const weights = {
    tensors: () => VIEWS,
    save: async (file: string, header: Uint8Array) => writeFile(file, Buffer.concat([header, Buffer.from("abcdef")])),
  };

  test("a folder with the weights' dtype and the tokenizer beside them", async () => {
    const source = await temporaryFolder();
    await writeFiles(source, {
      "config.json": { ...LLAMA_CONFIG, dtype: "bfloat16" },
      "model.safetensors": zeroWeights(CONFIG),
      "tokenizer.json": "{}",
    });
    const folder = join(await temporaryFolder(), "written");
    const written = await writeCheckpoint({ folder, like: await openCheckpoint(source), weights });
    expect(written).toMatchObject({ path: folder, dtype: "float16", totalBytes: 6, hasTokenizer: true });
    expect(JSON.parse(await readFile(join(folder, "config.json"), "utf8"))).toEqual({
      ...LLAMA_CONFIG,
      dtype: "float16",
    });
  });

  test("never over files, and leaves nothing behind when it fails", async () => {
    const like = await openCheckpoint(join(FIXTURES, "tiny-llama-gqa"));
    const parent = await temporaryFolder();
    const full = join(parent, "full");
    await mkdir(full);
    await writeFiles(full, { "notes.txt": "keep" });
    expect(await failureOf(() => writeCheckpoint({ folder: full, like, weights }))).toMatchObject({
      code: "bad_argument",
      file: full,
    });

    const failing = { ...weights, save: () => Promise.reject(new Error("disk on fire")) };
    await expect(writeCheckpoint({ folder: join(parent, "new"), like, weights: failing })).rejects.toThrow(
      "disk on fire",
    );
    await expect(readFile(join(full, "notes.txt"), "utf8")).resolves.toBe("keep");
    expect(await readdir(parent)).toEqual(["full"]);
  });
});
