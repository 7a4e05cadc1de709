/** `tideline run`: the PPO loop without a window. */
import type { Command } from "commander";
import { TidelineError, type TidelineErrorData, toErrorData } from "../../../core/errors.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { formatSchedule, parseSchedule } from "../../../core/schedule/file.ts";
import type { Schedule } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { baselineOf } from "../../ppo/baseline.ts";
import { measureQuantisation } from "../../ppo/measure-quantisation.ts";
import { readRunFile } from "../../ppo/run-files.ts";
import { devicesOf, openWorkload, rolesOf, type Workload } from "../../ppo/workload.ts";
import { changeWorkload, readWorkload, settingsFor } from "../../ppo/workload-settings.ts";
import { requireWritable, writeReport } from "../../report/report-file.ts";
import { loadAddon } from "../../session/addon.ts";
import { requireNewFolder } from "../../session/new-folder.ts";
import { demoWorkloadPath, surroundings } from "../../session/paths.ts";
import { capacityOption, INTERRUPTED, interruption, sizeOption, UsageError, wholeOption } from "../options.ts";
import { type Execution, execute, type Outcome } from "./execute.ts";
import { JSON_LINES, TEXT } from "./print.ts";
import { type Executed, reportOf } from "./report.ts";
import { type ChosenStrategies, STRATEGY_HELP, strategiesOption } from "./strategies-option.ts";

interface RunCommandOptions {
  readonly workload: string;
  readonly schedule?: string;
  readonly strategies?: ChosenStrategies;
  readonly steps: number;
  readonly capacity?: number;
  readonly seed?: number;
  readonly policy?: string;
  readonly critic?: string;
  readonly reference?: string;
  readonly reward?: string;
  readonly device: string;
  readonly engineDevice?: string;
  readonly policyDevice?: string;
  readonly criticDevice?: string;
  readonly referenceDevice?: string;
  readonly rewardDevice?: string;
  readonly deviceCapacity?: Readonly<Record<string, number>>;
  readonly save?: string;
  readonly printSchedule?: true;
  readonly baseline?: true;
  readonly int8Check: boolean;
  readonly json?: true;
  readonly report?: string;
}

export function addRun(program: Command): void {
  program
    .command("run")
    .description("run PPO steps under a memory schedule; prints a line per step and what it took")
    .option("--workload <file>", "which models learn what (default: the demo)", demoWorkloadPath(surroundings()))
    .option("--schedule <file>", "the schedule, as JSON")
    .option("--strategies <list>", "build the schedule from these instead", strategiesOption)
    .option("--steps <n>", "PPO steps", wholeOption(1), 10)
    .option("--capacity <size>", "what the device may hold: 64MiB", sizeOption)
    .option("--seed <s>", "same seed: same run", wholeOption(0))
    .option("--policy <dir>", "another policy than the workload's; critic and reference follow it unless given")
    .option("--critic <dir>", "another critic")
    .option("--reference <dir>", "another reference")
    .option("--reward <dir>", "a reward model instead of the task's rule")
    .option("--device <name>", "host or cuda:0", "host")
    .option("--engine-device <name>", "the engine on another device than the rest")
    .option("--policy-device <name>", "the policy and its trainer on another device")
    .option("--critic-device <name>", "the critic and its trainer")
    .option("--reference-device <name>", "the reference")
    .option("--reward-device <name>", "the reward model")
    .option("--device-capacity <device=size...>", "what one of the devices may hold: cuda:1=20GiB", capacityOption)
    .option("--save <dir>", "write the policy as a Hugging Face folder when done: a new one, or an empty one")
    .option("--print-schedule", "print the schedule's file, to edit and give with --schedule, and run nothing")
    .option("--baseline", "run with everything resident too, with no limit of memory, and say what was saved and paid")
    .option("--no-int8-check", "do not measure first what int8 changes: large models are loaded twice for it")
    .option("--report <file>", "write one HTML file with the pictures, numbers and settings; also of a run that failed")
    .option("--json", "one JSON object per line: steps, then the summary")
    .addHelpText(
      "after",
      `
Strategies, separated by commas:
${STRATEGY_HELP}

Ctrl-C stops at the next boundary; the weights are those of the last completed update, and --save still writes them. The exit
code is 130 then.

Examples:
  tideline run --steps 30
  tideline run --strategies release-kv-cache,swap=copy,reference=host,training-memory --baseline
  tideline run --steps 30 --strategies all --baseline --report run.html
  tideline run --schedule my-schedule.json --capacity 24MiB --json
  tideline run --device cuda:0 --engine-device cuda:1 --strategies swap=copy
  tideline make-shape --like Qwen2.5-0.5B --out shapes/qwen2.5-0.5b && \\
    tideline run --device cuda:0 --workload assets/real-sizes/half-billion.json --strategies all`,
    )
    .action(run);
}

async function run(options: RunCommandOptions): Promise<void> {
  if (options.schedule !== undefined && options.strategies !== undefined) {
    throw new UsageError("give either --schedule or --strategies");
  }
  if (options.printSchedule && options.report !== undefined) {
    throw new UsageError("--print-schedule runs nothing that --report could tell of");
  }
  const workload = await workloadOf(options);
  const roles = rolesOf(workload);
  const schedule =
    options.schedule === undefined
      ? buildSchedule(options.strategies?.(roles) ?? NO_STRATEGIES, roles)
      : parseSchedule(await readRunFile(options.schedule, "schedule"), options.schedule);
  if (options.printSchedule) {
    process.stdout.write(formatSchedule(schedule));
    return;
  }
  if (options.save !== undefined) await requireNewFolder(options.save);
  if (options.report !== undefined) await requireWritable(options.report);
  const stopped = interruption();
  await runAndTell(options, workload, schedule, stopped);
  if (stopped.aborted) process.exitCode = INTERRUPTED;
}

async function workloadOf(options: RunCommandOptions): Promise<Workload> {
  const { policy, critic, reference, reward, capacity, seed } = options;
  const checkpoints = { policy, critic, reference, reward };
  const placement = {
    engine: options.engineDevice,
    policy: options.policyDevice,
    critic: options.criticDevice,
    reference: options.referenceDevice,
    reward: options.rewardDevice,
  };
  const read = changeWorkload(await readWorkload(options.workload), { placement });
  const changes = { checkpoints, capacityBytes: capacity, deviceCapacities: options.deviceCapacity, seed };
  const workload = await openWorkload(changeWorkload(settingsFor(options.device, read), changes));
  const devices = devicesOf(workload, options.device).map(({ name }) => name);
  const unused = Object.keys(options.deviceCapacity ?? {}).find((name) => !devices.includes(name));
  if (unused === undefined) return workload;
  throw new UsageError(`--device-capacity ${unused}: nothing of this run lies there, only on ${devices.join(", ")}`);
}

async function runAndTell(
  options: RunCommandOptions,
  workload: Workload,
  schedule: Schedule,
  stopped: AbortSignal,
): Promise<void> {
  const { device: deviceName, steps, save, report } = options;
  const printer = options.json ? JSON_LINES : TEXT;
  printer.begin(schedule);
  const { roles } = schedule;
  const quantisation = options.int8Check
    ? await measureQuantisation({ addon: loadAddon(), workload, roles, deviceName, signal: stopped })
    : [];
  printer.quantisation(quantisation);
  const execution: Execution = {
    workload,
    schedule,
    deviceName,
    steps,
    stopped,
    fitDevices: devicesOf(workload, deviceName),
    recording: report !== undefined,
  };
  const outcome = await execute({ ...execution, onStep: printer.step, ...(save !== undefined && { save }) });
  const { baseline, failure: baselineFailure } =
    options.baseline && !stopped.aborted ? await runBaseline(execution) : {};
  printer.summary(outcome, baseline);
  if (report !== undefined) {
    const executed: Executed = {
      workloadFile: options.workload,
      workload,
      askedSteps: steps,
      outcome,
      quantisation,
      ...(baseline && { baseline }),
    };
    // Only who wants a report waits for what writes it.
    const { renderReport } = await import("../../report/render.tsx");
    await writeReport(report, renderReport(reportOf(executed)));
    printer.report(report);
  }
  const failure = outcome.measurement.failure ?? outcome.saveFailure ?? baselineFailure;
  if (failure !== undefined) throw new TidelineError(failure);
}

/** What a run has learned and measured is told also where its baseline could not be run. */
async function runBaseline(
  execution: Execution,
): Promise<{ readonly baseline?: Outcome; readonly failure?: TidelineErrorData }> {
  const { workload, deviceName } = execution;
  try {
    const baseline = baselineOf(loadAddon(), workload, deviceName);
    return { baseline: await execute({ ...execution, ...baseline, recording: false }) };
  } catch (error) {
    return { failure: toErrorData(error) };
  }
}
