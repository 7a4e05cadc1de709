/** `tideline estimate`: what one model takes to score or to train a batch on one GPU, before it is tried. */
import { basename, dirname } from "node:path";
import { type Command, Option } from "commander";
import { asMeasured } from "../../core/planner/memory/estimate/as-measured.ts";
import {
  type Estimate,
  estimate,
  type Reserved,
  type StepEstimate,
} from "../../core/planner/memory/estimate/estimate.ts";
import {
  type EstimateQuestion,
  MOST,
  PRECISIONS,
  parseEstimateQuestion,
  WORKLOADS,
} from "../../core/planner/memory/estimate/question.ts";
import type { Architecture } from "../../core/planner/models/architecture.ts";
import { catalogueName, MODEL_NAMES, modelNamed } from "../../core/planner/models/catalogue.ts";
import { parseArchitecture } from "../../core/planner/models/from-config.ts";
import { formatBytes } from "../../core/units.ts";
import { CONFIG_FILE } from "../session/checkpoint.ts";
import { readModelFile } from "./model-option.ts";
import { wholeOption } from "./options.ts";

interface EstimateOptions {
  readonly model: string;
  readonly workload: EstimateQuestion["workload"];
  readonly batch: number;
  readonly sequence: number;
  readonly precision: EstimateQuestion["precision"];
  readonly gradientCheckpointing?: true;
  readonly attention: EstimateQuestion["attention"];
  readonly masked?: true;
  readonly lossRows?: number;
  readonly loraRank?: number;
  readonly head: EstimateQuestion["head"];
  readonly json?: true;
}

export function addEstimate(program: Command): void {
  program
    .command("estimate")
    .description("what a model takes to score or train a batch with PyTorch on one GPU, stage by stage")
    .requiredOption("--model <name>", `a name of the catalogue, or a ${CONFIG_FILE}`)
    .addOption(
      new Option("--workload <workload>", "score: one pass without gradients; train: a step with AdamW")
        .choices(WORKLOADS)
        .makeOptionMandatory(),
    )
    .requiredOption("--batch <n>", "rows", wholeOption(1, MOST))
    .requiredOption("--sequence <n>", "tokens of each row", wholeOption(2, MOST))
    .addOption(
      new Option("--precision <precision>", "bf16 or fp32 throughout, or float32 with bf16 matrix products")
        .choices(PRECISIONS)
        .default("bf16"),
    )
    .option("--gradient-checkpointing", "layers keep their input only")
    .addOption(
      new Option("--attention <kernel>", "attention kernel").choices(["sdpa", "eager", "flash"]).default("sdpa"),
    )
    .option("--masked", "rows of different lengths, or packed ones: with an attention mask")
    .option("--loss-rows <n>", "logits of so many rows at a time", wholeOption(1, MOST))
    .option("--lora-rank <n>", "only adapters of this rank on every linear layer learn", wholeOption(1, 65_536))
    .addOption(
      new Option("--head <head>", "logits, or one value for each token")
        .choices(["language", "value"])
        .default("language"),
    )
    .option("--json", "the field names of h100-pytorch-measured.json (tests/fixtures/README.md)")
    .addHelpText(
      "after",
      `
Models: ${MODEL_NAMES.join(", ")}

Examples:
  tideline estimate --model Qwen2.5-7B --workload train --batch 1 --sequence 4096 --gradient-checkpointing
  tideline estimate --model ./my-model/config.json --workload score --batch 8 --sequence 2048 --json`,
    )
    .action(runEstimate);
}

async function runEstimate({ model, json, ...options }: EstimateOptions): Promise<void> {
  const question = parseEstimateQuestion(options);
  const { name, architecture, assumed } = await findModel(model);
  const answer = estimate(architecture, question);
  const measured = { ...asMeasured(name, question, answer), ...(assumed.length > 0 && { assumed }) };
  process.stdout.write(json ? `${JSON.stringify(measured)}\n` : describe(name, question, answer, assumed));
}

interface FoundModel {
  readonly name: string;
  readonly architecture: Architecture;
  readonly assumed: readonly string[];
}

async function findModel(model: string): Promise<FoundModel> {
  const config = await readModelFile(model);
  if (config === undefined) {
    return { name: catalogueName(model) ?? model, architecture: modelNamed(model, "--model"), assumed: [] };
  }
  const { file, text } = config;
  const { architecture, assumed } = parseArchitecture(text, file);
  const name = basename(file) === CONFIG_FILE ? basename(dirname(file)) : basename(file, ".json");
  return { name, architecture, assumed };
}

function describe(name: string, question: EstimateQuestion, answer: Estimate, assumed: readonly string[]): string {
  const { stages, parameters, weightsBytes, contextBytes, peak } = answer;
  const line = (label: string, text: string) => `  ${label.padEnd(28)} ${text}`;
  const reserved = ({ bytes, lowestBytes, highestBytes }: Reserved) =>
    `${formatBytes(bytes)}, between ${formatBytes(lowestBytes)} and ${formatBytes(highestBytes)}`;
  const step = (title: string, figures: StepEstimate) => [
    title,
    line("forward, at its end", formatBytes(figures.forwardEndBytes)),
    line("forward, at its peak", formatBytes(figures.forwardPeakBytes)),
    line("backward, at its peak", formatBytes(figures.backwardPeakBytes)),
    line("reserved by then", reserved(figures.backwardPeakReserved)),
    line("after the optimizer's step", formatBytes(figures.afterOptimizerStepBytes)),
    line("after zero_grad", formatBytes(figures.afterZeroGradBytes)),
  ];
  return [
    `${name}: ${parameters.toLocaleString("en")} parameters, ${formatBytes(weightsBytes)} in ${question.precision}`,
    ...assumed.map((text) => `assumed: ${text}`),
    ...(stages.workload === "score"
      ? [
          "Score",
          line("allocated, at its peak", formatBytes(stages.peakAllocatedBytes)),
          line("reserved", reserved(stages.peakReserved)),
        ]
      : [...step("First step", stages.firstStep), ...step("Every further step", stages.steadyStep)]),
    line("CUDA context besides", formatBytes(contextBytes)),
    "What the highest peak is made of",
    ...peak.map(({ cause, amount }) => line(cause, formatBytes(amount))),
    "",
  ].join("\n");
}
