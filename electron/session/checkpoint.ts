/**
 * Hugging Face folders on disk: what is in one (headers only, no weights are read), and writing one back from the
 * weights of an engine or model.
 */
import { copyFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { checkpointFile } from "../../core/checkpoint/checkpoint-file.ts";
import { parseConfig, parseGenerationStops } from "../../core/checkpoint/config.ts";
import { type ModelConfig, parameterCount } from "../../core/checkpoint/model-config.ts";
import {
  headerBytes,
  LENGTH_BYTES,
  makeHeader,
  parseHeader,
  type TensorEntry,
} from "../../core/checkpoint/safetensors.ts";
import { parseIndex, selectIndexed } from "../../core/checkpoint/shard-index.ts";
import { TidelineError } from "../../core/errors.ts";
import { parseJsonObject } from "../../core/input/json.ts";
import type { DType, LongOperation, NativeEngine, TensorSource } from "../../native/addon.d.ts";
import { draftOf, exists, pathProblem } from "./files.ts";
import { readTextFile, withFile } from "./input-file.ts";
import { makeFolder, requireNewFolder, unwritable } from "./new-folder.ts";

export const CONFIG_FILE = "config.json";
const GENERATION_CONFIG_FILE = "generation_config.json";
const WEIGHTS_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
const TOKENIZER_FILE = "tokenizer.json";
/** What is copied beside written weights, where it is there. */
const COMPANION_FILES = [
  GENERATION_CONFIG_FILE,
  TOKENIZER_FILE,
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.json",
  "merges.txt",
  "tokenizer.model",
  "chat_template.jinja",
] as const;

/** Largest JSON files taken: real ones stay far below. */
const MAX_CONFIG_BYTES = 16 * 2 ** 20;
const MAX_INDEX_BYTES = 100 * 2 ** 20;

const DTYPES: Readonly<Record<string, DType>> = { F32: "float32", F16: "float16", BF16: "bfloat16" };

/** A model folder, as far as it is known without reading its weights. */
export interface Checkpoint {
  /** Absolute. */
  readonly path: string;
  /** The folder's own name. */
  readonly name: string;
  readonly config: ModelConfig;
  /** That of most of its bytes, whatever config.json claims. */
  readonly dtype: DType;
  readonly tensors: readonly TensorSource[];
  /** Of all tensors on disk. */
  readonly totalBytes: number;
  readonly parameters: number;
  readonly hasTokenizer: boolean;
}

/**
 * Reads a folder's config.json and the headers of its safetensors.
 * @throws TidelineError checkpoint_unreadable, checkpoint_invalid or model_unsupported, naming the file and the field.
 */
export async function openCheckpoint(folder: string): Promise<Checkpoint> {
  const path = resolve(folder);
  const names = await listFolder(path);
  if (!names.has(CONFIG_FILE)) {
    throw new TidelineError({
      code: "checkpoint_invalid",
      message: names.size === 0 ? `${path} is empty` : `${path} has no ${CONFIG_FILE}`,
      hint: "Choose the folder of a Hugging Face model: the one that holds config.json and *.safetensors.",
      file: join(path, CONFIG_FILE),
    });
  }
  const config = await readConfig(path, names);
  const tensors = await readTensors(path, names);
  return {
    path,
    name: basename(path),
    config,
    dtype: majorityDtype(tensors),
    tensors,
    totalBytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    parameters: parameterCount(config),
    hasTokenizer: names.has(TOKENIZER_FILE),
  };
}

export interface WriteOptions extends LongOperation {
  /** A new folder, or an empty one. */
  readonly folder: string;
  /** Where config and tokenizer come from. */
  readonly like: Checkpoint;
  /** The engine or model whose weights are written. */
  readonly weights: Pick<NativeEngine, "tensors" | "save">;
}

/**
 * Writes weights as a Hugging Face folder: config.json, one model.safetensors, and the tokenizer's files. The folder
 * appears only when it is complete.
 * @throws TidelineError what requireNewFolder throws; the addon's own errors.
 */
export async function writeCheckpoint({ folder, like, weights, ...operation }: WriteOptions): Promise<Checkpoint> {
  const path = resolve(folder);
  await requireNewFolder(path);
  const draft = draftOf(path);
  try {
    makeFolder(draft);
    const views = weights.tensors();
    const header = makeHeader(views, { format: "pt" });
    await weights.save(
      join(draft, WEIGHTS_FILE),
      header,
      views.map((view) => view.name),
      operation,
    );
    const dtype = majorityDtype(views.map((view) => ({ ...view, file: WEIGHTS_FILE })));
    await writeFile(join(draft, CONFIG_FILE), await configTextWithDtype(like.path, dtype));
    for (const name of COMPANION_FILES) {
      if (await exists(join(like.path, name))) await copyFile(join(like.path, name), join(draft, name));
    }
    await rename(draft, path);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw unwritable(path, error);
  }
  return openCheckpoint(path);
}

async function readConfig(path: string, names: ReadonlySet<string>): Promise<ModelConfig> {
  const file = join(path, CONFIG_FILE);
  const config = parseConfig(await readTextFile(file, MAX_CONFIG_BYTES), file);
  if (!names.has(GENERATION_CONFIG_FILE)) return config;
  const generationFile = join(path, GENERATION_CONFIG_FILE);
  const stops = parseGenerationStops(await readTextFile(generationFile, MAX_CONFIG_BYTES), generationFile);
  return stops === undefined ? config : { ...config, eosTokenIds: stops };
}

async function readTensors(path: string, names: ReadonlySet<string>): Promise<readonly TensorEntry[]> {
  if (names.has(WEIGHTS_FILE)) return readHeader(join(path, WEIGHTS_FILE));
  if (!names.has(INDEX_FILE)) throw noWeights(path, names);
  const indexFile = join(path, INDEX_FILE);
  const index = parseIndex(await readTextFile(indexFile, MAX_INDEX_BYTES), indexFile);
  const missing = index.shards.find((shard) => !names.has(shard));
  if (missing !== undefined) {
    throw new TidelineError({
      code: "checkpoint_invalid",
      message: `${indexFile}: weight_map names ${missing}, which is not in the folder`,
      hint: "Download the missing file into the same folder.",
      file: join(path, missing),
      field: "weight_map",
    });
  }
  const shardTensors = new Map<string, readonly TensorEntry[]>();
  for (const shard of index.shards) shardTensors.set(shard, await readHeader(join(path, shard)));
  return selectIndexed(index, shardTensors, indexFile);
}

/** The tensors of one safetensors file. @throws TidelineError checkpoint_unreadable or checkpoint_invalid. */
export async function readHeader(file: string): Promise<readonly TensorEntry[]> {
  return withFile(file, async (handle, fileBytes) => {
    const start = new Uint8Array(Math.min(LENGTH_BYTES, fileBytes));
    await handle.read(start, 0, start.byteLength, 0);
    const json = new Uint8Array(headerBytes(start, fileBytes, file));
    const { bytesRead } = await handle.read(json, 0, json.byteLength, LENGTH_BYTES);
    return parseHeader(json.subarray(0, bytesRead), fileBytes, file).tensors;
  });
}

/** The dtype that holds most bytes: a few float32 norms do not make a bfloat16 model float32. */
function majorityDtype(tensors: readonly Pick<TensorSource, "name" | "dtype" | "bytes" | "file">[]): DType {
  const bytesOf = new Map<string, number>();
  for (const { dtype, bytes } of tensors) bytesOf.set(dtype, (bytesOf.get(dtype) ?? 0) + bytes);
  const [stored] = [...bytesOf].sort(([, a], [, b]) => b - a)[0] ?? [];
  const example = tensors.find((tensor) => tensor.dtype === stored);
  const dtype = stored !== undefined && Object.hasOwn(DTYPES, stored) ? DTYPES[stored] : undefined;
  if (dtype !== undefined) return dtype;
  throw new TidelineError({
    code: example === undefined ? "checkpoint_invalid" : "model_unsupported",
    message:
      example === undefined ? "the weights hold no tensor" : `${example.file}: ${example.name} is ${example.dtype}`,
    hint: "Tideline reads weights stored as F32, F16 or BF16.",
    ...(example === undefined ? {} : { file: example.file, field: `${example.name}.dtype`, tensor: example.name }),
  });
}

function noWeights(path: string, names: ReadonlySet<string>): TidelineError {
  const pickle = [...names].find((name) => name.endsWith(".bin") || name.endsWith(".pth") || name.endsWith(".pt"));
  return new TidelineError({
    code: "checkpoint_invalid",
    message:
      pickle === undefined
        ? `${path} has neither ${WEIGHTS_FILE} nor ${INDEX_FILE}`
        : `${path} has its weights as ${pickle}, a pickle, which can run code when it is read`,
    hint:
      pickle === undefined
        ? "Download the *.safetensors files of the model into the same folder."
        : "Convert it: load it in transformers and call save_pretrained(folder), which writes safetensors.",
    file: join(path, WEIGHTS_FILE),
  });
}

/** config.json of `folder` with its dtype (under the name that it uses) set to that of the weights. */
async function configTextWithDtype(folder: string, dtype: DType): Promise<string> {
  const file = join(folder, CONFIG_FILE);
  const config = parseJsonObject(await readTextFile(file, MAX_CONFIG_BYTES), checkpointFile(file));
  const field = "torch_dtype" in config ? "torch_dtype" : "dtype";
  return `${JSON.stringify({ ...config, [field]: dtype }, undefined, 2)}\n`;
}

async function listFolder(path: string): Promise<ReadonlySet<string>> {
  try {
    return new Set(await readdir(path));
  } catch (cause) {
    const { problem, hint } = pathProblem(cause, "listing");
    throw new TidelineError(
      { code: "checkpoint_unreadable", message: `${path} ${problem}`, file: path, hint },
      { cause },
    );
  }
}
