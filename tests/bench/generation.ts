/**
 * Tokens per second of one greedy request, and what sampling memory at 100 Hz costs it: short runs with and without
 * sampling alternate, and each pair gives one ratio. A shared machine changes speed by far more than sampling could cost,
 * so what counts is the median of hundreds of pairs, and it is told with its confidence interval. The bound is what memory
 * allows: every token reads all weights once, so no engine is faster than the bandwidth that all cores reach together,
 * measured between the same runs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GIB, MIB } from "../../core/units.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import { openCheckpoint } from "../../electron/session/checkpoint.ts";
import type { NativeEngine } from "../../native/addon.d.ts";
import { startBaseline } from "./baseline.ts";
import { writeLargeCheckpoint } from "./large-checkpoint.ts";
import { median, medianInterval, report } from "./report.ts";

const PAIRS = 500;
/** The first comes from the prompt; 16 are decoded, some 0.2 s with a sample every 10 ms. */
const TOKENS = 17;
/** Bandwidth is read once per so many pairs. */
const PAIRS_PER_BANDWIDTH = 10;
const KV_CACHE_BYTES = 128 * MIB;
const SAMPLING_HERTZ = 100;
const ROUNDS = 5;
const ROUND_SECONDS = 2;

const folder = mkdtempSync(join(tmpdir(), "tideline-bench-"));
try {
  await measure();
} finally {
  rmSync(folder, { recursive: true });
}

async function measure(): Promise<void> {
  const bytesPerToken = await writeLargeCheckpoint(folder);
  const checkpoint = await openCheckpoint(folder);
  const addon = loadAddon();
  const device = addon.openDevice({ name: "host", capacityBytes: 2 * GIB });
  const model = addon.createModel(device, {
    config: checkpoint.config,
    dtype: checkpoint.dtype,
    consumer: "engine.weights",
  });
  await model.load(checkpoint.tensors);
  const engine = addon.createEngine(device, model, { kvCacheBytes: KV_CACHE_BYTES });
  await engine.resume("kv_cache");
  await engine.resume("workspace");
  const baseline = startBaseline();

  const plain: number[] = [];
  const sampled: number[] = [];
  const bandwidth: number[] = [];
  const runPlain = async () => plain.push(await tokensPerSecond(engine));
  const runSampled = async () => {
    const telemetry = device.startTelemetry({ hertz: SAMPLING_HERTZ, batchSeconds: 0.1 }, () => undefined);
    sampled.push(await tokensPerSecond(engine));
    telemetry.stop();
  };
  await tokensPerSecond(engine);
  for (let pair = 0; pair < PAIRS; pair += 1) {
    // Which one goes first alternates too: a machine that slows down must not count against one of them.
    for (const run of pair % 2 === 0 ? [runPlain, runSampled] : [runSampled, runPlain]) await run();
    if (pair % PAIRS_PER_BANDWIDTH > 0) continue;
    bandwidth.push(await baseline.readGigabytesPerSecond(GIB));
    // The baseline is another process: what it left in the caches must not meet one kind of run only.
    await tokensPerSecond(engine);
  }
  baseline.close();
  // Beside the pairs, which vary: what sampling takes of a processor while nothing else runs. Not a bound on its cost
  // to a generation, whose cores wait for each other.
  const idle: number[] = [];
  const sampling: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    idle.push(await processorShare(ROUND_SECONDS));
    const telemetry = device.startTelemetry({ hertz: SAMPLING_HERTZ, batchSeconds: 0.1 }, () => undefined);
    sampling.push(await processorShare(ROUND_SECONDS));
    telemetry.stop();
  }
  await engine.close();
  await device.close();

  const bound = (median(bandwidth) * 1e9) / bytesPerToken;
  const settings = { parametersMillion: 270, dtype: "bfloat16", batch: 1, tokens: TOKENS };
  report({ name: "memory_read_bandwidth", unit: "GB/s", samples: bandwidth });
  report({
    name: "tokens_per_second",
    unit: "tokens/s",
    samples: plain,
    ratio: { to: `the memory-bandwidth bound, ${bound.toFixed(1)} tokens/s`, value: median(plain) / bound },
    settings,
  });
  const costs = plain.map((speed, pair) => 100 * (speed / (sampled[pair] ?? Number.NaN) - 1));
  report({
    name: "sampling_cost_100Hz",
    unit: "% of generation time",
    samples: costs,
    interval: medianInterval(costs),
    ratio: { to: "the same generation without sampling, pair by pair", value: 1 + median(costs) / 100 },
    settings: { ...settings, hertz: SAMPLING_HERTZ },
  });
  report({
    name: "sampling_processor_100Hz",
    unit: "% of one core",
    samples: sampling.map((share, round) => 100 * (share - (idle[round] ?? Number.NaN))),
    settings: { hertz: SAMPLING_HERTZ, seconds: ROUND_SECONDS },
  });
}

/** Processor time of this process, all threads, as a share of the time that passed. */
async function processorShare(seconds: number): Promise<number> {
  const before = process.cpuUsage();
  const startedMs = performance.now();
  await sleep(1000 * seconds);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / (performance.now() - startedMs);
}

/** Decoding speed of one request, by the engine's own clock: the prompt is not part of it. */
function tokensPerSecond(engine: NativeEngine): Promise<number> {
  const request = {
    promptIds: [1, 15, 27, 99],
    maxNewTokens: TOKENS,
    sampling: { temperature: 0, topK: 0, topP: 1, seed: 0 },
    stopTokenIds: [],
  };
  return new Promise((resolve, reject) => {
    engine.generate([request], (events) => {
      for (const event of events) {
        if (event.type === "finished") resolve((event.newTokens - 1) / event.decodeSeconds);
        if (event.type === "error") reject(new Error(event.error.message));
      }
    });
  });
}
