/** `tideline make-shape`: the checkpoint opens and speaks like any other, a seed makes it again, and nothing is written over. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openCheckpoint } from "../../electron/session/checkpoint.ts";
import { tideline } from "./command.ts";
import { withFolder } from "./support.ts";

const SHAPE = {
  model_type: "qwen3",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  head_dim: 32,
  vocab_size: 1000,
  max_position_embeddings: 128,
};

test("opens, has the shape, and says what can be shown", () =>
  withFolder(async (folder) => {
    const like = join(folder, "shape.json");
    writeFileSync(like, JSON.stringify(SHAPE));
    const make = (out: string, ...more: string[]) =>
      tideline("make-shape", "--like", like, "--out", join(folder, out), ...more);
    const weights = (out: string) =>
      createHash("sha256")
        .update(readFileSync(join(folder, out, "model.safetensors")))
        .digest("hex");

    expect(make("first").code).toBe(0);
    const { config, dtype, parameters, tensors } = await openCheckpoint(join(folder, "first"));
    expect(config).toMatchObject({ family: "qwen3", vocabSize: 1000, layers: 2, headDim: 32, qkNorm: true });
    // embedding and head; attention, its two norms of heads, feed-forward and two norms of each layer; the last norm.
    const layer = 64 * (2 * 128 + 2 * 64) + 2 * 32 + 3 * 64 * 96 + 2 * 64;
    expect([dtype, parameters]).toEqual(["bfloat16", 2 * 64_000 + 2 * layer + 64]);

    // So that it can be a critic or a reward model too.
    expect(tensors.find(({ name }) => name === "value_head.weight")).toMatchObject({ shape: [1, 64] });

    const said = tideline(
      "generate",
      "--checkpoint",
      join(folder, "first"),
      "--prompt",
      "Hello",
      "--max-new",
      "12",
      "--greedy",
    );
    expect(said).toMatchObject({ code: 0, out: expect.stringMatching(/\S/) });

    expect(make("second").code).toBe(0);
    expect(make("other", "--seed", "1").code).toBe(0);
    expect(weights("second")).toBe(weights("first"));
    expect(weights("other")).not.toBe(weights("first"));

    expect(make("first", "--seed", "1")).toMatchObject({ code: 1, error: expect.stringContaining("is not empty") });
    expect(weights("first")).toBe(weights("second"));
  }));

test("refuses shapes that cannot run or speak", () =>
  withFolder(async (folder) => {
    const like = join(folder, "shape.json");
    writeFileSync(like, JSON.stringify({ ...SHAPE, vocab_size: 200 }));
    expect(tideline("make-shape", "--like", like, "--out", join(folder, "small"))).toMatchObject({
      code: 1,
      error: expect.stringContaining("vocab_size"),
    });
    expect(tideline("make-shape", "--like", "Mixtral-8x7B", "--out", join(folder, "experts"))).toMatchObject({
      code: 1,
      error: expect.stringContaining("mixtral"),
    });
  }));
