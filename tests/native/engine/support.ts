/**
 * Engines on the fixture checkpoints, for the tests beside this file. The fixtures' golden.json is the outside truth;
 * a checkpoint with a negated lm_head is a second model of the same shape whose logits are known from the first.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { MIB } from "../../../core/units.ts";
import { type Checkpoint, openCheckpoint } from "../../../electron/session/checkpoint.ts";
import type {
  DType,
  EngineOptions,
  GenerateRequest,
  GenerationEvent,
  ModelConfig,
  NativeDevice,
  NativeEngine,
  NativeModel,
  Sampling,
} from "../../../native/addon.d.ts";
import { addon, expectSameSums, IS_EMULATED, IS_HOST, testDevice } from "../support.ts";

const CHECKPOINTS = join(import.meta.dirname, "../../fixtures/checkpoints");

export const FIXTURES = ["tiny-llama-gqa", "tiny-qwen2-tied", "tiny-qwen3-qknorm"] as const;
export type Fixture = (typeof FIXTURES)[number];

export interface GoldenCase {
  readonly prompt: readonly number[];
  readonly last_logits: readonly number[];
  readonly prompt_logprobs: readonly number[];
  readonly greedy: readonly number[];
  readonly greedy_logprobs: readonly number[];
  readonly greedy_margin: readonly number[];
}

/** Terms of the longest sum behind a log-prob of the fixtures: over the largest vocabulary. */
export const LONGEST_SUM = 320;

export const GREEDY: Sampling = { temperature: 0, topK: 0, topP: 1, seed: 0 };

export function openFixture(name: Fixture): Promise<Checkpoint> {
  return openCheckpoint(join(CHECKPOINTS, name));
}

export async function goldenCases(name: Fixture): Promise<readonly GoldenCase[]> {
  return JSON.parse(await readFile(join(CHECKPOINTS, name, "golden.json"), "utf8")).cases;
}

/** The bfloat16 fixtures were computed by a model cast as a whole, rotary frequencies with it. */
export function configOfGolden({ config, dtype }: Checkpoint): ModelConfig {
  return dtype === "bfloat16" ? { ...config, rope: { ...config.rope, frequencyDtype: dtype } } : config;
}

export interface Opened {
  readonly checkpoint: Checkpoint;
  readonly device: NativeDevice;
  readonly engine: NativeEngine;
  /** Of the shapes of the engine's, closed with it. */
  readonly createModel: (consumer: string, dtype?: DType) => NativeModel;
}

export interface OpenOptions extends Partial<EngineOptions> {
  readonly deviceName?: string;
  readonly fixture?: Fixture;
  readonly dtype?: DType;
  readonly capacityBytes?: number;
  readonly chunkBytes?: number;
}

/** An engine with its weights loaded and everything resident; closed when the test is over. */
export async function openEngine(options: OpenOptions = {}): Promise<Opened> {
  const { fixture = "tiny-llama-gqa", dtype, capacityBytes = 256 * MIB, chunkBytes, ...rest } = options;
  const { deviceName = testDevice(), ...engineOptions } = rest;
  const checkpoint = await openFixture(fixture);
  const config = configOfGolden(checkpoint);
  const device = addon.openDevice({
    name: deviceName,
    capacityBytes,
    ...(chunkBytes !== undefined && { chunkBytes }),
  });
  const models: NativeModel[] = [];
  const createModel = (consumer: string, other?: DType) => {
    const model = addon.createModel(device, { config, dtype: other ?? dtype ?? checkpoint.dtype, consumer });
    models.push(model);
    return model;
  };
  const weights = addon.createModel(device, { config, dtype: dtype ?? checkpoint.dtype, consumer: "engine.weights" });
  await weights.load(checkpoint.tensors);
  const engine = addon.createEngine(device, weights, { kvCacheBytes: 4 * MIB, ...engineOptions });
  await engine.resume("kv_cache");
  await engine.resume("workspace");
  onTestFinished(async () => {
    await engine.close();
    for (const model of models) await model.close();
    await device.close();
  });
  return { checkpoint, device, engine, createModel };
}

export interface Generated {
  readonly tokens: number[];
  readonly logprobs: number[];
  finished: Extract<GenerationEvent, { type: "finished" }> | undefined;
  error: Extract<GenerationEvent, { type: "error" }>["error"] | undefined;
}

export interface Running {
  readonly generation: number;
  /** What has arrived so far, in the order of the requests. */
  readonly outputs: readonly Generated[];
  /** Resolves when every request has finished. */
  readonly done: Promise<readonly Generated[]>;
  /** Resolves once so many tokens of all requests have arrived. */
  tokens(count: number): Promise<void>;
}

/** Starts a generation and collects what comes of it. */
export function start(engine: NativeEngine, requests: readonly GenerateRequest[]): Running {
  const outputs: Generated[] = requests.map(() => ({
    tokens: [],
    logprobs: [],
    finished: undefined,
    error: undefined,
  }));
  let finish: (outputs: readonly Generated[]) => void = () => {};
  const done = new Promise<readonly Generated[]>((resolve) => {
    finish = resolve;
  });
  const waiters: { readonly count: number; readonly resolve: () => void }[] = [];
  let arrived = 0;
  const generation = engine.generate(requests, (events) => {
    for (const event of events) {
      const output = outputs[event.index];
      if (output === undefined) throw new Error(`there is no request ${event.index}`);
      if (event.type === "token") {
        output.tokens.push(event.tokenId);
        output.logprobs.push(event.logprob);
        arrived += 1;
      } else if (event.type === "error") {
        output.error = event.error;
      } else {
        output.finished = event;
      }
    }
    for (const waiter of waiters) if (arrived >= waiter.count) waiter.resolve();
    if (outputs.every(({ finished }) => finished !== undefined)) finish(outputs);
  });
  return {
    generation,
    outputs,
    done,
    tokens: (count) =>
      new Promise((resolve) => {
        if (arrived >= count) resolve();
        else waiters.push({ count, resolve });
      }),
  };
}

/** The same tokens, whatever runs beside them, and their log-probs as expectSameSums has it. */
export function expectSameAnswers(actual: readonly Generated[], expected: readonly Generated[]): void {
  expect(actual.map(({ tokens }) => tokens)).toEqual(expected.map(({ tokens }) => tokens));
  const logprobs = (outputs: readonly Generated[]) => outputs.flatMap((output) => output.logprobs);
  expectSameSums(logprobs(actual), logprobs(expected), LONGEST_SUM);
}

/**
 * Answers some of whose tokens were computed again, from the prompt and what had been said. On the host that gives the same
 * bits. On a GPU they pass in other batches, which add in another order (compute.h), and where two tokens are nearly even
 * another one is drawn, after which the text is another: but every token's log-prob is what the engine gives that text.
 */
export async function expectRecomputed(
  engine: NativeEngine,
  requests: readonly GenerateRequest[],
  actual: readonly Generated[],
  undisturbed: () => Promise<readonly Generated[]>,
): Promise<void> {
  if (IS_HOST) {
    expectSameAnswers(actual, await undisturbed());
    return;
  }
  for (const [index, { promptIds, maxNewTokens }] of requests.entries()) {
    const answer = actual[index];
    expect(answer?.finished).toMatchObject({ reason: "length", newTokens: maxNewTokens });
    const { logprobs } = await engine.score([...promptIds, ...(answer?.tokens ?? [])]);
    expectSameSums(answer?.logprobs ?? [], logprobs.slice(promptIds.length - 1), LONGEST_SUM, `request ${index}`);
  }
}

export function request(
  promptIds: readonly number[],
  maxNewTokens = 24,
  sampling: Partial<Sampling> = {},
): GenerateRequest {
  return { promptIds, maxNewTokens, stopTokenIds: [], sampling: { ...GREEDY, ...sampling } };
}

/** The one request's tokens and log-probs. */
export async function generateOne(engine: NativeEngine, one: GenerateRequest): Promise<Generated> {
  const [output] = await start(engine, [one]).done;
  if (output === undefined) throw new Error("nothing was generated");
  return output;
}

/**
 * Requests that take the engine long enough (hundreds of steps of a large batch; of an emulated one, which are much slower,
 * some dozens) to be caught while they run, whatever the machine does meanwhile. They need LONG_KV_BYTES.
 */
export function longRequests(sampling: Partial<Sampling> = {}): readonly GenerateRequest[] {
  const [count, newTokens] = IS_EMULATED ? [20, 60] : [48, 200];
  return prompts(count, 320).map((prompt, index) => request(prompt, newTokens, { ...sampling, seed: index }));
}
export const LONG_KV_BYTES = 16 * MIB;

/** Prompts of many lengths, the same every time. */
export function prompts(count: number, vocabSize: number): readonly (readonly number[])[] {
  return Array.from({ length: count }, (_, index) =>
    Array.from({ length: 1 + ((index * 7) % 40) }, (_, at) => (index * 31 + at * 17 + 3) % vocabSize),
  );
}

/**
 * The fixture's weights with lm_head negated, in `folder`: another model of the same shapes, all of whose logits are
 * those of the fixture with the other sign.
 */
export async function negatedCheckpoint(checkpoint: Checkpoint, folder: string): Promise<Checkpoint> {
  const head = checkpoint.tensors.find(({ name }) => name === "lm_head.weight");
  if (head === undefined || head.dtype !== "F32") throw new Error("needs a float32 lm_head");
  const bytes = await readFile(head.file);
  for (let at = head.offset; at < head.offset + head.bytes; at += 4) bytes.writeFloatLE(-bytes.readFloatLE(at), at);
  await writeFile(join(folder, "model.safetensors"), bytes);
  await writeFile(join(folder, "config.json"), await readFile(join(checkpoint.path, "config.json")));
  return openCheckpoint(folder);
}
