/**
 * The process that reads damaged checkpoints: a plain Node under AddressSanitizer, so that whatever the readers do
 * wrong ends it. Each case has to end in a typed error or in success, and the models that were there before have to go
 * on computing what they computed.
 *
 * node child.mjs ADDON FOLDER SEED CASES
 */

import { mkdirSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { formatConfig } from "../../../core/checkpoint/format-config.ts";
import { makeHeader } from "../../../core/checkpoint/safetensors.ts";
import { toErrorData } from "../../../core/errors.ts";
import { type Checkpoint, openCheckpoint } from "../../../electron/session/checkpoint.ts";
import type { NativeDevice, NativeEngine, NativeModel, TensorSource, TidelineAddon } from "../../../native/addon.d.ts";
import { randomTensors, writeShards, writeTensors } from "../../golden/models.ts";
import { DAMAGES, type Damage, type Files, nearby, replaceOne } from "./damage.ts";
import { Random } from "./random.ts";

const CAPACITY_BYTES = 64 * 2 ** 20;
const CHUNK_BYTES = 2 ** 16;
const KV_CACHE_BYTES = 2 ** 16;
const PROMPT = [1, 5, 9, 2];
/** How often the engine that was there before is asked again. */
const CHECK_EVERY = 250;

const COMMON = {
  vocabSize: 24,
  hiddenSize: 16,
  intermediateSize: 20,
  layers: 1,
  heads: 4,
  kvHeads: 2,
  headDim: 4,
  maxPositions: 64,
  rmsNormEps: 1e-6,
  outputBias: false,
  mlpBias: false,
  eosTokenIds: [],
} as const;

/** One small valid folder per family, in shards and whole. */
async function makeValid(folder: string): Promise<readonly Files[]> {
  const llama = {
    ...COMMON,
    family: "llama",
    tiedEmbeddings: false,
    qkvBias: false,
    qkNorm: false,
    rope: { type: "llama3", theta: 1e4, factor: 2, lowFreqFactor: 1, highFreqFactor: 4, originalMaxPositions: 32 },
  } as const;
  const qwen2 = {
    ...COMMON,
    family: "qwen2",
    tiedEmbeddings: true,
    qkvBias: true,
    qkNorm: false,
    rope: { type: "default", theta: 1e6 },
  } as const;
  const qwen3 = {
    ...COMMON,
    family: "qwen3",
    tiedEmbeddings: false,
    qkvBias: false,
    qkNorm: true,
    rope: { type: "linear", theta: 1e4, factor: 2 },
  } as const;
  const made: Files[] = [];
  for (const [config, dtype] of [
    [llama, "float32"],
    [qwen2, "bfloat16"],
    [qwen3, "float16"],
  ] as const) {
    const path = join(folder, config.family);
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, "config.json"), JSON.stringify(formatConfig(config)));
    const tensors = randomTensors(config, dtype, 1);
    if (config.family !== "qwen3") await writeShards(path, tensors, 2);
    else await writeTensors(join(path, "model.safetensors"), tensors);
    made.push(new Map(readdirSync(path).map((name) => [name, new Uint8Array(readFileSync(join(path, name)))])));
  }
  return made;
}

/** The model under test is lied about after it was opened, as a file that changes underneath or a wrong caller would. */
const LATE_DAMAGES: Readonly<Record<string, (checkpoint: Checkpoint, random: Random) => Checkpoint>> = {
  "a file that shrinks after it was opened": (checkpoint, random) => {
    const file = random.pick(checkpoint.tensors)?.file;
    if (file !== undefined) truncateSync(file, random.below(4000));
    return checkpoint;
  },
  "a lie about a tensor": (checkpoint, random) => {
    const tensors = structuredClone(checkpoint.tensors) as Writable<TensorSource>[];
    const tensor = random.pick(tensors);
    if (tensor === undefined) return checkpoint;
    const choice = random.unit();
    if (choice < 0.3) replaceOne(tensor, random);
    else if (choice < 0.5) tensor.offset = nearby(tensor.offset, random);
    else if (choice < 0.7) tensor.bytes = nearby(tensor.bytes, random);
    else tensor.shape = tensor.shape.map((size) => (random.unit() < 0.5 ? size : nearby(size, random)));
    return { ...checkpoint, tensors };
  },
  "a lie about the model": (checkpoint, random) => {
    const config = structuredClone(checkpoint.config);
    replaceOne(random.unit() < 0.2 ? config.rope : config, random);
    return { ...checkpoint, config };
  },
};

type Writable<T> = { -readonly [K in keyof T]: T[K] };

class Readers {
  private readonly addon: TidelineAddon;
  private readonly folder: string;
  /** Where damaged checkpoints are tried; the engine that was there before has a device of its own. */
  private readonly device: NativeDevice;
  private readonly keeper: NativeEngine;
  private readonly keeperLogits: string;

  private constructor(
    addon: TidelineAddon,
    folder: string,
    device: NativeDevice,
    keeper: NativeEngine,
    keeperLogits: string,
  ) {
    this.addon = addon;
    this.folder = folder;
    this.device = device;
    this.keeper = keeper;
    this.keeperLogits = keeperLogits;
  }

  static async start(addon: TidelineAddon, folder: string, keep: Checkpoint): Promise<Readers> {
    const open = () => addon.openDevice({ name: "host", capacityBytes: CAPACITY_BYTES, chunkBytes: CHUNK_BYTES });
    const device = open();
    const keeperDevice = open();
    const model = addon.createModel(keeperDevice, {
      config: keep.config,
      dtype: keep.dtype,
      consumer: "engine.weights",
    });
    await model.load(keep.tensors);
    const keeper = await engineOf(addon, keeperDevice, model);
    return new Readers(addon, folder, device, keeper, await logitsOf(keeper));
  }

  /** Throws when the engine that was there before computes anything else than before. */
  async checkKeeper(): Promise<void> {
    if ((await logitsOf(this.keeper)) !== this.keeperLogits)
      throw new Error("a loaded model computes something else now");
  }

  /** Loads a checkpoint as a model of its own, writes it back, computes and samples with it, closes it. */
  async loadAsModel({ config, dtype, tensors }: Checkpoint): Promise<void> {
    const model = this.addon.createModel(this.device, { config, dtype, consumer: "engine.weights" });
    let engine: NativeEngine | undefined;
    try {
      await model.load(tensors);
      const views = model.tensors();
      await model.save(
        join(this.folder, "written.safetensors"),
        makeHeader(views),
        views.map(({ name }) => name),
      );
      engine = await engineOf(this.addon, this.device, model);
      await engine.score(PROMPT);
      await sample(engine);
    } finally {
      await (engine ?? model).close();
    }
  }

  /** Swaps a checkpoint into the engine that was there before, and what was there back again. */
  async swapTo({ config, tensors }: Checkpoint, keep: Checkpoint): Promise<void> {
    await this.keeper.swap({ source: { kind: "checkpoint", config, tensors }, method: "auto", running: "refuse" });
    try {
      await this.keeper.score(PROMPT);
      await sample(this.keeper);
    } finally {
      const source = { kind: "checkpoint", config: keep.config, tensors: keep.tensors } as const;
      await this.keeper.swap({ source, method: "auto", running: "refuse" });
    }
  }

  /** Nothing that failed may have kept memory. */
  checkNothingLeft(): void {
    const { committedBytes, regions } = this.device.observe();
    if (committedBytes > 0 || regions.length > 0)
      throw new Error(`${committedBytes} bytes in ${regions.length} regions are left`);
  }
}

async function engineOf(addon: TidelineAddon, device: NativeDevice, model: NativeModel): Promise<NativeEngine> {
  const engine = addon.createEngine(device, model, {
    kvCacheBytes: KV_CACHE_BYTES,
    maxBatch: 2,
    prefillTokens: 16,
    threads: 1,
  });
  await engine.resume("kv_cache");
  await engine.resume("workspace");
  return engine;
}

async function logitsOf(engine: NativeEngine): Promise<string> {
  const { lastLogits } = await engine.score(PROMPT);
  return lastLogits.join();
}

/** Sampling has to survive weights that give NaN and infinity. */
function sample(engine: NativeEngine): Promise<void> {
  const request = {
    promptIds: PROMPT,
    maxNewTokens: 2,
    sampling: { temperature: 1, topK: 5, topP: 0.9, seed: 1 },
    stopTokenIds: [],
  };
  return new Promise((resolve) => {
    engine.generate([request], (events) => {
      if (events.some(({ type }) => type === "finished")) resolve();
    });
  });
}

function apply(folder: string, files: Files, damage: Damage): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (const [name, bytes] of new Map<string, Uint8Array | "folder" | undefined>([...files, ...damage])) {
    if (bytes === "folder") mkdirSync(join(folder, name));
    else if (bytes !== undefined) writeFileSync(join(folder, name), bytes);
  }
}

async function main(addonFile: string, folder: string, seed: number, cases: number): Promise<void> {
  const addon: TidelineAddon = createRequire(import.meta.url)(addonFile);
  const valid = await makeValid(join(folder, "valid"));
  const keep = await openCheckpoint(join(folder, "valid", "llama"));
  const readers = await Readers.start(addon, folder, keep);
  const damaged = join(folder, "damaged");
  const kinds = [...Object.keys(DAMAGES), ...Object.keys(LATE_DAMAGES)];
  const outcomes = new Map<string, number>();

  for (let index = 0; index < cases; index++) {
    const random = new Random(seed + index);
    const kind = kinds[index % kinds.length] ?? "";
    // Half are swapped into the engine that was there before, which takes only models of its own shape.
    const swaps = random.unit() < 0.5;
    const files = valid[swaps ? 0 : random.below(valid.length)] ?? new Map();
    // The last thing written names the case that ended the process.
    writeFileSync(join(folder, "current"), `seed ${seed + index}: ${kind}`);
    apply(damaged, files, DAMAGES[kind]?.(files, random) ?? new Map());
    let outcome = "success";
    try {
      const opened = await openCheckpoint(damaged);
      const checkpoint = LATE_DAMAGES[kind]?.(opened, random) ?? opened;
      await (swaps ? readers.swapTo(checkpoint, keep) : readers.loadAsModel(checkpoint));
    } catch (error) {
      const { code, message, hint } = toErrorData(error);
      // With a hint somebody foresaw it (weights that compute to NaN); without one it is a mistake of ours.
      if (code === "internal" && hint === undefined) throw error;
      if (message.length === 0) throw new Error(`an error without a message: ${code}`);
      outcome = code;
    }
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    readers.checkNothingLeft();
    if (index % CHECK_EVERY === 0) await readers.checkKeeper();
  }
  await readers.checkKeeper();
  process.stdout.write(`${JSON.stringify({ seed, cases, outcomes: Object.fromEntries(outcomes) })}\n`);
}

const [addonFile = "", folder = "", seed = "", cases = ""] = process.argv.slice(2);
await main(addonFile, folder, Number(seed), Number(cases));
