/** `tideline plan`: whether a PPO loop fits, phase by phase, what would make it fit, and how launchers are told. */
import type { Command } from "commander";
import { Option } from "commander";
import { exportPlan, type LauncherExport } from "../../../core/planner/export/export.ts";
import { phasesAsCsv, phasesAsMarkdown } from "../../../core/planner/export/tables.ts";
import { parseTarget, type Target } from "../../../core/planner/export/target.ts";
import { HOST } from "../../../core/planner/gpus/catalogue.ts";
import { embeddedOn } from "../../../core/planner/gpus/planned-gpu.ts";
import type { Plan, PlannedGpu } from "../../../core/planner/plan.ts";
import { planFrom } from "../../../core/planner/plan-file.ts";
import { figuresOf } from "../../../core/planner/predict/figures.ts";
import { predict } from "../../../core/planner/predict/predict.ts";
import type { Prediction } from "../../../core/planner/predict/prediction.ts";
import { PRESETS, presetNamed } from "../../../core/planner/presets.ts";
import { rolesOfPlan } from "../../../core/planner/resolve.ts";
import { type Best, planBest } from "../../../core/planner/search/best.ts";
import { changesThatFit, type FittingChange } from "../../../core/planner/search/changes.ts";
import { loadAddon } from "../../session/addon.ts";
import { deviceChoices } from "../../session/native-observation.ts";
import { openSettings } from "../../session/settings.ts";
import { UsageError } from "../options.ts";
import { type ChosenStrategies, STRATEGY_HELP, strategiesOption } from "../run/strategies-option.ts";
import { planAsJson } from "./as-json.ts";
import { planAsText } from "./as-text.ts";
import { readPlan } from "./read-plan.ts";
import { THIS, thisGpu } from "./this-gpu.ts";

interface PlanCommandOptions {
  readonly workload?: string;
  readonly preset?: string;
  readonly gpu?: string;
  readonly embedded?: true;
  readonly strategies?: ChosenStrategies;
  readonly best?: true;
  readonly export: readonly string[];
  readonly table?: "csv" | "markdown";
  readonly json?: true;
}

/** What was asked for, answered. */
export interface PlanAnswer {
  readonly prediction: Prediction;
  readonly best?: Best;
  /** With `best`, where nothing fits. */
  readonly changes: readonly FittingChange[];
  readonly exports: readonly LauncherExport[];
}

export function addPlan(program: Command): void {
  program
    .command("plan")
    .description("predict a PPO loop: memory per phase, seconds, whether it fits and what would make it fit")
    .option("--workload <file>", "a plan, a workload of `tideline run`, or a plan's line of text")
    .option("--preset <name>", `one of: ${PRESETS.map(({ name }) => name).join(", ")}`)
    .option(
      "--gpu <name>",
      "another card than the plan's; this: the machine's own, as `tideline measure-device` found it",
    )
    .option("--embedded", "carried out on that card by this program, as `tideline run --device cuda:0` does")
    .option("--strategies <list>", "these instead of the plan's", strategiesOption)
    .option("--best", "the cheapest schedule that fits; where none does, the smallest changes with which one would")
    .option(
      "--export <target>",
      "write it down for a launcher: openrlhf@0.11; may be given several times",
      (target, before: readonly string[]) => [...before, target],
      [],
    )
    .addOption(new Option("--table <format>", "only the bytes by phase and consumer").choices(["csv", "markdown"]))
    .option("--json", "everything that was predicted, as JSON")
    .addHelpText(
      "after",
      `
Presets:
${PRESETS.map(({ name, about }) => `  ${name.padEnd(24)}${about}`).join("\n")}

Strategies, separated by commas:
${STRATEGY_HELP}

Examples:
  tideline plan --preset 4xh100-colocated
  tideline plan --preset 1xh100-adam-offload --gpu H200 --best
  tideline plan --preset 4xh100-colocated --export openrlhf@0.11 --export verl
  tideline plan --workload my-plan.json --json
  tideline plan --workload assets/real-sizes/seven-billion.json --gpu H100 --embedded --strategies all,optimizer=stream`,
    )
    .action(run);
}

async function run(options: PlanCommandOptions): Promise<void> {
  if (options.table !== undefined && (options.json || options.export.length > 0)) {
    throw new UsageError("give --table alone: it prints nothing else");
  }
  const targets = options.export.map(parseTarget);
  const answer = answerOf(await planOf(options), options.best === true, targets);
  process.stdout.write(outputOf(answer, options));
}

async function planOf({ workload, preset, gpu, embedded, strategies }: PlanCommandOptions): Promise<Plan> {
  if (embedded && gpu === undefined) throw new UsageError("--embedded needs --gpu: the card");
  if ((workload === undefined) === (preset === undefined)) throw new UsageError("give --workload or --preset");
  const device = embedded && gpu !== HOST ? "cuda:0" : HOST;
  const plan = preset === undefined ? await readPlan(workload ?? "", device) : presetNamed(preset).plan;
  const changed = {
    ...plan,
    ...(gpu !== undefined && { gpu: embedded ? embeddedOn(cardNamed(gpu), plan.gpu) : cardNamed(gpu) }),
    ...(strategies !== undefined && { strategies: strategies(rolesOfPlan(plan)) }),
  };
  return planFrom(changed, plan.name);
}

function cardNamed(name: string): PlannedGpu {
  if (name !== THIS) return { name };
  const { gpu, note } = thisGpu(deviceChoices(loadAddon()), openSettings());
  // Beside what is printed, which may be read by a program.
  if (note !== undefined) process.stderr.write(`note: ${note}\n`);
  return gpu;
}

function answerOf(plan: Plan, wantsBest: boolean, targets: readonly Target[]): PlanAnswer {
  const given = predict(plan);
  const best = wantsBest ? planBest(plan) : undefined;
  const prediction = best === undefined ? given : best.kind === "found" ? best.prediction : best.least;
  return {
    prediction,
    ...(best && { best }),
    changes: best?.kind === "none" ? changesThatFit(plan) : [],
    exports: targets.map((target) => exportPlan(prediction.plan, figuresOf(prediction), target)),
  };
}

function outputOf(answer: PlanAnswer, { table, json }: PlanCommandOptions): string {
  const { prediction } = answer;
  if (table === "csv") return phasesAsCsv(prediction.plan, figuresOf(prediction));
  if (table === "markdown") return phasesAsMarkdown(prediction.plan, figuresOf(prediction));
  return json ? `${JSON.stringify(planAsJson(answer), undefined, 2)}\n` : planAsText(answer);
}
