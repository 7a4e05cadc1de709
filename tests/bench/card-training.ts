/**
 * One PPO update of the policy on a card: clipped loss with entropy over micro-batches, gradients clipped, AdamW. What
 * card-training.py does with PyTorch and transformers, for the same shape, batch and options.
 *
 *   tideline make-shape --like Qwen2.5-0.5B --out /tmp/qwen2.5-0.5b
 *   node tests/bench/card-training.ts /tmp/qwen2.5-0.5b
 *
 * With --device host and a small shape it runs anywhere. Needs a Node that takes TypeScript (22.18 or newer).
 */
import { execFileSync } from "node:child_process";
import { parseArgs } from "node:util";
import { GIB } from "../../core/units.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import { openCheckpoint } from "../../electron/session/checkpoint.ts";
import type { GradientDType } from "../../native/addon.d.ts";
import { median, report } from "./report.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    device: { type: "string", default: "cuda:0" },
    budget: { type: "string", default: "70" },
    sequences: { type: "string", default: "8" },
    tokens: { type: "string", default: "512" },
    response: { type: "string", default: "256" },
    "micro-batch": { type: "string", default: "4" },
    "logit-rows": { type: "string", default: "128" },
    steps: { type: "string", default: "10" },
    checkpointing: { type: "boolean", default: false },
    "master-weights": { type: "boolean", default: false },
    /** float32 or bfloat16: with both bfloat16 it is what card-training.py's `bf16` keeps. */
    gradients: { type: "string", default: "float32" },
    moments: { type: "string", default: "float32" },
    /** Gradients of one micro-batch alone, once: for a profiler. */
    profile: { type: "boolean", default: false },
  },
});

const TAGS = ["gradients", "optimizer", "activations", "logits"] as const;
const WARM_UP = 3;
const tokens = Number(options.tokens);
const response = Number(options.response);

const addon = loadAddon();
const checkpoint = await openCheckpoint(positionals[0] ?? "");
const device = addon.openDevice({ name: options.device, capacityBytes: Number(options.budget) * GIB });
const { config, dtype } = checkpoint;
const model = addon.createModel(device, { config, dtype, consumer: "policy.weights" });
await model.load(checkpoint.tensors);
const trainer = addon.createTrainer(device, {
  model,
  consumerPrefix: "policy",
  microBatch: Number(options["micro-batch"]),
  sequenceTokens: tokens,
  logitRows: Number(options["logit-rows"]),
  checkpointing: options.checkpointing,
  masterWeights: options["master-weights"],
  gradientDtype: stateDtype(options.gradients),
  momentDtype: stateDtype(options.moments),
});
for (const tag of TAGS) await trainer.resume(tag);

const batch = Array.from({ length: Number(options.sequences) }, (_, row) => ({
  ids: Uint32Array.from(
    { length: tokens },
    (_, at) => (row * 7919 + at * 104_729 + ((at * at) % 8191)) % config.vocabSize,
  ),
  from: tokens - response,
  oldLogprobs: Array.from({ length: response }, (_, at) => -11.9 + 0.1 * Math.sin(at + row)),
  advantages: Array.from({ length: response }, (_, at) => Math.cos(3 * at + row)),
}));
const loss = { clipRange: 0.2, entropyCoefficient: 0.01 };

if (options.profile) {
  await trainer.policyStep(batch.slice(0, Number(options["micro-batch"])), loss);
  process.exit();
}
const gradientMs: number[] = [];
const updateMs: number[] = [];
const totalMs: number[] = [];
for (let step = 0; step < WARM_UP + Number(options.steps); step += 1) {
  const start = performance.now();
  await trainer.policyStep(batch, loss);
  const middle = performance.now();
  await trainer.optimizerStep({ learningRate: 1e-6, maxGradientNorm: 1 });
  const end = performance.now();
  if (step < WARM_UP) continue;
  gradientMs.push(middle - start);
  updateMs.push(end - middle);
  totalMs.push(end - start);
}

const regions = [...trainer.observe(), model.observe()];
const mib = (tag?: string) =>
  Math.round(
    regions.reduce((sum, region) => sum + (tag === undefined || region.tag === tag ? region.committedBytes : 0), 0) /
      2 ** 20,
  );
report({
  name: "training step",
  unit: "ms",
  samples: totalMs,
  settings: {
    model: positionals[0] ?? "",
    mode: options["master-weights"] ? `${dtype}, float32 master weights` : dtype,
    gradients: options.gradients,
    moments: options.moments,
    batch: `${options.sequences} x ${tokens}, ${response} of each learned from, micro-batch ${options["micro-batch"]}`,
    checkpointing: String(options.checkpointing),
    logitRows: options["logit-rows"],
    gradientsMs: median(gradientMs),
    updateMs: median(updateMs),
    committedMiB: mib(),
    ...Object.fromEntries(regions.map(({ tag }) => [`${tag}MiB`, mib(tag)])),
    ...(options.device === "host" ? {} : { deviceUsedMiB: deviceUsedMib() }),
  },
});
await trainer.close();
await model.close();
await device.close();

function stateDtype(name: string): GradientDType {
  if (name === "float32" || name === "bfloat16") return name;
  throw new Error(`gradients and moments are float32 or bfloat16, not ${name}`);
}

/** By NVML: this process's context and libraries too, and whoever else is on the card. */
function deviceUsedMib(): number {
  const said = execFileSync("nvidia-smi", ["--query-gpu=memory.used", "--format=csv,noheader,nounits"]);
  return Number(said.toString().trim());
}
