/** What is measured in a memory folder (shapes in tests/fixtures/README.md): steps of PyTorch, and pools of SGLang. */
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { checkpointFile } from "../../core/checkpoint/checkpoint-file.ts";
import { refusal } from "../../core/input/fault.ts";
import { parseJsonObject } from "../../core/input/json.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import { readTextFile } from "../session/input-file.ts";

/** Steps measured with PyTorch's counters: as many files as one likes. */
const STEPS_FILE = /-measured\.json$/;
const POOLS_FILE = "sglang-kv-pool.json";
/** Recorded allocations, which nothing is predicted about. */
const SNAPSHOT_FILE = /^torch-snapshot-.*\.pickle$/;
const MAX_BYTES = 64 * 2 ** 20;

export function isMemoryFile(name: string): boolean {
  return STEPS_FILE.test(name) || name === POOLS_FILE || SNAPSHOT_FILE.test(name);
}

/** A model by a name of the catalogue: its own, or that of another whose shape it has; or with its config.json in full. */
const modelFields = {
  model: z.string().min(1),
  config_as: z.string().min(1).exactOptional(),
  config: z.record(z.string(), z.unknown()).exactOptional(),
};

const figures = z.record(z.string(), z.number());
const stepRowSchema = z.object({
  ...modelFields,
  parameters: z.int().positive().exactOptional(),
  batch: z.int().positive(),
  sequence: z.int().positive(),
  workload: z.enum(["score", "train"]),
  precision: z.enum(["bf16", "fp32-master-autocast-bf16", "fp32"]),
  gradient_checkpointing: z.boolean().default(false),
  attention: z.enum(["sdpa", "eager"]).default("sdpa"),
  /** Rank of LoRA adapters on every linear layer; 0: none. */
  lora: z.int().min(0).default(0),
  variant: z.enum(["plain", "padded", "packed", "chunked", "value"]).default("plain"),
  score: figures.exactOptional(),
  first_step: figures.exactOptional(),
  steady_step: figures.exactOptional(),
});
export type StepRow = z.infer<typeof stepRowSchema>;

const poolRowSchema = z.object({
  id: z.string(),
  ...modelFields,
  tensor_parallel: z.int().positive(),
  mem_fraction_static: z.number().positive().max(1),
  avail_before_gib: z.number().positive(),
  avail_after_gib: z.number().positive(),
  tokens: z.int().positive(),
});
export type PoolRow = z.infer<typeof poolRowSchema>;

export interface MemoryGolden {
  readonly steps: readonly StepRow[];
  readonly pools: readonly PoolRow[];
}

/** @throws TidelineError checkpoint_unreadable or checkpoint_invalid, naming the file and the field. */
export async function readMemoryGolden(folder: string): Promise<MemoryGolden> {
  const names = await readdir(folder);
  const rowsOf = async <T>(schema: z.ZodType<T>, wanted: (name: string) => boolean): Promise<readonly T[]> => {
    const files = names.filter(wanted).sort();
    return (await Promise.all(files.map((name) => readRows(join(folder, name), schema)))).flat();
  };
  return {
    steps: await rowsOf(stepRowSchema, (name) => STEPS_FILE.test(name)),
    pools: await rowsOf(poolRowSchema, (name) => name === POOLS_FILE),
  };
}

async function readRows<T>(file: string, schema: z.ZodType<T>): Promise<readonly T[]> {
  const source = checkpointFile(file, `The shape of ${basename(file)} is described in tests/fixtures/README.md.`);
  const data = parseJsonObject(await readTextFile(file, MAX_BYTES), source);
  const rowsSchema = z.object({ rows: z.array(schema).min(1) });
  return parseWith(rowsSchema, data, (fault) => refusal(source, fault)).rows;
}
