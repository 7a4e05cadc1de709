/**
 * Checkpoint folders for tests: tiny, valid, and made from scratch, so that each test can damage what it is about.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { expectedTensors, type ModelConfig } from "../../../core/checkpoint/model-config.ts";
import { makeHeader } from "../../../core/checkpoint/safetensors.ts";
import { TidelineError, type TidelineErrorData } from "../../../core/errors.ts";

export const FIXTURES = join(import.meta.dirname, "../../fixtures/checkpoints");

/** A small llama as transformers 5 writes it. */
export const LLAMA_CONFIG = {
  architectures: ["LlamaForCausalLM"],
  model_type: "llama",
  vocab_size: 32,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 64,
  rms_norm_eps: 1e-5,
  tie_word_embeddings: false,
  rope_parameters: { rope_type: "default", rope_theta: 10000 },
  bos_token_id: 1,
  eos_token_id: 2,
} as const;

/** A new folder, removed when the test is over. */
export async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "tideline-test-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The bytes of a safetensors file with every tensor of `config`, all zeros. */
export function zeroWeights(config: ModelConfig, dtype = "BF16", bytesPerElement = 2): Uint8Array {
  const tensors = expectedTensors(config).map((tensor) => ({ ...tensor, dtype }));
  const header = makeHeader(tensors);
  const elements = tensors.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const file = new Uint8Array(header.byteLength + elements * bytesPerElement);
  file.set(header);
  return file;
}

export async function writeFiles(folder: string, files: Readonly<Record<string, string | Uint8Array | object>>) {
  for (const [name, content] of Object.entries(files)) {
    const raw = typeof content === "string" || content instanceof Uint8Array ? content : JSON.stringify(content);
    await writeFile(join(folder, name), raw);
  }
}

/** What `act` throws, as data; fails the test when it throws anything else or nothing. */
export async function failureOf(act: () => unknown): Promise<TidelineErrorData> {
  try {
    await act();
  } catch (error) {
    if (error instanceof TidelineError) return error.data;
    throw error;
  }
  throw new Error("expected a TidelineError, nothing was thrown");
}
