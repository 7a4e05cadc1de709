/**
 * How long the planner thinks. A prediction has 16.7 ms while a slider is dragged at 60 frames a second, and the goal is 1 ms;
 * a search for one GPU has 100 ms in the worst case of the catalogue. Every question has sizes that nobody asked about
 * before: answers that are remembered do not count, but for the strategies' row. The tapes of a model do, as they would.
 */
import { GPUS } from "../../core/planner/gpus/catalogue.ts";
import { MODEL_NAMES } from "../../core/planner/models/catalogue.ts";
import type { Plan } from "../../core/planner/plan.ts";
import { planFrom } from "../../core/planner/plan-file.ts";
import { predict } from "../../core/planner/predict/predict.ts";
import { presetNamed } from "../../core/planner/presets.ts";
import { planBest } from "../../core/planner/search/best.ts";
import { changesThatFit } from "../../core/planner/search/changes.ts";
import { report } from "./report.ts";

const ROUNDS = 300;

/** Not the same twice within what is remembered of a model, and within what every model takes. */
let asked = 0;
const LEAST_TOKENS = 400;
const TOKENS = 1000;

for (const name of ["1xh100-adam-offload", "4xh100-colocated"]) {
  const { plan } = presetNamed(name);
  const { workload, strategies } = plan;
  // Machines that predict have done so before.
  for (let round = 0; round < ROUNDS; round += 1) predict(withTokens(plan));
  sample(`prediction_strategies_${name}`, (round) => {
    const flags = { releaseKvCache: round % 2 === 0, trainingMemoryOnlyWhileTraining: round % 3 === 0 };
    predict({ ...plan, strategies: { ...strategies, ...flags } });
  });
  sample(`prediction_new_sizes_${name}`, () => predict(withTokens(plan)));
  sample(`prediction_gradient_checkpointing_off_${name}`, () => {
    const policy = { ...workload.policy, gradientCheckpointing: false };
    predict(withTokens({ ...plan, workload: { ...workload, policy } }));
  });
}
worst("plan_best", (plan) => planBest(plan));
changes("H100 SXM");

function sample(name: string, ask: (round: number) => void): void {
  const samples = Array.from({ length: ROUNDS }, (_, round) => elapsedMs(() => ask(round)));
  report({ name, unit: "ms", samples });
}

/** One GPU, every model on every card: the median and, as `max`, the worst of them, with its name. */
function worst(name: string, ask: (plan: Plan) => void): void {
  const cases = MODEL_NAMES.flatMap((model) =>
    GPUS.map((gpu) => {
      // Other work on the machine is not the planner's: the least of three tries counts, each of them new to it.
      const tries = [1, 2, 3].map(() => {
        const plan = planOf(model, gpu.name);
        return elapsedMs(() => ask(plan));
      });
      return { case: `${model} on ${gpu.name}`, ms: Math.min(...tries) };
    }),
  );
  const slowest = cases.reduce((most, one) => (one.ms > most.ms ? one : most));
  report({
    name,
    unit: "ms",
    samples: cases.map(({ ms }) => ms),
    settings: { cases: cases.length, worst: slowest.case },
  });
}

/**
 * What would make each model fit on one card, asked for the first time by a program that has thought about other models: their
 * code is compiled, and none of the model's tapes is there any more. Processor time, garbage collection included.
 */
function changes(gpu: string): void {
  const ask = () =>
    MODEL_NAMES.map((model) => {
      const plan = planOf(model, gpu);
      return { model, ms: processorMs(() => changesThatFit(plan)) };
    });
  ask();
  const cases = ask();
  const slowest = cases.reduce((most, one) => (one.ms > most.ms ? one : most));
  report({
    name: "changes_that_fit",
    unit: "ms",
    samples: cases.map(({ ms }) => ms),
    settings: { cases: cases.length, gpu, worst: slowest.model },
  });
}

function withTokens(plan: Plan): Plan {
  asked += 1;
  const responseTokens = LEAST_TOKENS + (asked % TOKENS);
  return { ...plan, workload: { ...plan.workload, responseTokens } };
}

function planOf(model: string, gpu: string): Plan {
  const role = { model };
  const plan = {
    version: 1,
    name: `${model} on ${gpu}`,
    workload: {
      policy: role,
      critic: role,
      reference: role,
      reward: role,
      batch: 64,
      promptTokens: 512,
      responseTokens: LEAST_TOKENS,
      microBatch: 8,
    },
    placement: { kind: "colocated", gpus: 1 },
    gpu: { name: gpu },
  };
  return withTokens(planFrom(plan, plan.name));
}

function elapsedMs(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

function processorMs(work: () => void): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}
