/** `tideline run`: the PPO loop without a window. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { TidelineError, type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import type { StepRecord } from "../../core/run/records.ts";
import { buildSchedule } from "../../core/schedule/build.ts";
import { itemAt } from "../../core/schedule/cursor.ts";
import { formatSchedule, parseSchedule } from "../../core/schedule/file.ts";
import { describePlace, type Schedule } from "../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "../../core/schedule/strategies.ts";
import { formatBytes } from "../../core/units.ts";
import { startRun } from "../ppo/start-run.ts";
import { openWorkload, type RoleFolders, readWorkload, rolesOf, type Workload } from "../ppo/workload.ts";
import { loadAddon } from "../session/addon.ts";
import { ownBackupsFolder } from "../session/backups.ts";
import { backupsPath, demoWorkloadPath, surroundings } from "../session/paths.ts";
import { interruption, sizeOption, UsageError, wholeOption } from "./options.ts";
import { STRATEGY_HELP, strategiesOption } from "./strategies-option.ts";

interface RunCommandOptions {
  readonly workload: string;
  readonly schedule?: string;
  readonly strategies?: StrategySet;
  readonly steps: number;
  readonly capacity?: number;
  readonly seed?: number;
  readonly policy?: string;
  readonly critic?: string;
  readonly reference?: string;
  readonly reward?: string;
  readonly device: string;
  readonly save?: string;
  readonly printSchedule?: true;
  readonly baseline?: true;
  readonly json?: true;
}

const SIGINT_EXIT = 130;

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
    .option("--save <dir>", "write the policy as a Hugging Face folder when done")
    .option("--print-schedule", "print the schedule's file, to edit and give with --schedule, and run nothing")
    .option("--baseline", "run without strategies too, and say what they saved and cost")
    .option("--json", "one JSON object per line: steps, then the summary")
    .addHelpText(
      "after",
      `
Strategies, separated by commas:
${STRATEGY_HELP}

Ctrl-C stops at the next boundary; the weights are those of the last completed update, and --save still writes them.

Examples:
  tideline run --steps 30
  tideline run --strategies release-kv-cache,swap=copy,reference=host,training-memory --baseline
  tideline run --schedule my-schedule.json --capacity 24MiB --json`,
    )
    .action(run);
}

async function run(options: RunCommandOptions): Promise<void> {
  if (options.schedule !== undefined && options.strategies !== undefined) {
    throw new UsageError("give either --schedule or --strategies");
  }
  const workload = await workloadOf(options);
  const roles = rolesOf(workload);
  const schedule =
    options.schedule === undefined
      ? buildSchedule(options.strategies ?? NO_STRATEGIES, roles)
      : parseSchedule(await readFile(options.schedule, "utf8"), options.schedule);
  if (options.printSchedule) {
    process.stdout.write(formatSchedule(schedule));
    return;
  }
  const stopped = interruption();
  try {
    await runAndReport(options, workload, schedule, stopped);
  } catch (error) {
    // Ctrl-C while the models were being loaded: there is nothing to keep.
    if (!stopped.aborted || toErrorData(error).code !== "cancelled") throw error;
  }
  if (stopped.aborted) process.exitCode = SIGINT_EXIT;
}

async function runAndReport(
  options: RunCommandOptions,
  workload: Workload,
  schedule: Schedule,
  stopped: AbortSignal,
): Promise<void> {
  const write = options.json ? writeJson : writeText;
  write.begin(schedule);
  const outcome = await runSchedule(options, workload, schedule, stopped, write.step);
  const baseline =
    options.baseline && !stopped.aborted
      ? await runSchedule(
          { ...options, save: undefined },
          workload,
          buildSchedule(NO_STRATEGIES, rolesOf(workload)),
          stopped,
        )
      : undefined;
  write.summary(outcome, baseline);
  if (outcome.failure !== undefined) throw new TidelineError(outcome.failure);
}

async function workloadOf(options: RunCommandOptions): Promise<Workload> {
  const settings = await readWorkload(options.workload);
  const { policy, critic, reference, reward, capacity, seed } = options;
  const roles: RoleFolders = {
    ...(policy === undefined ? settings.roles : { policy, critic: policy, reference: policy }),
    ...(critic !== undefined && { critic }),
    ...(reference !== undefined && { reference }),
    ...(reward !== undefined && { reward }),
  };
  const device = { ...settings.device, ...(capacity !== undefined && { capacityBytes: capacity }) };
  return openWorkload({ ...settings, roles, device, ...(seed !== undefined && { seed }) });
}

interface Outcome {
  readonly schedule: Schedule;
  readonly steps: readonly StepRecord[];
  readonly peakBytes: number;
  /** What stopped it, and where. */
  readonly failure?: TidelineErrorData;
  readonly saved?: string;
}

async function runSchedule(
  { steps, device, save }: Pick<RunCommandOptions, "steps" | "device"> & { readonly save?: string | undefined },
  workload: Workload,
  schedule: Schedule,
  stopped: AbortSignal,
  onStep?: (step: StepRecord) => void,
): Promise<Outcome> {
  const { run, backend } = await startRun({
    addon: loadAddon(),
    workload,
    schedule,
    deviceName: device,
    directory: join(ownBackupsFolder(backupsPath(surroundings())), "ppo"),
    signal: stopped,
    ...(onStep !== undefined && { onStep }),
  });
  const pause = () => run.pause();
  stopped.addEventListener("abort", pause, { once: true });
  try {
    const cursor = stopped.aborted ? run.cursor : await run.go({ kind: "steps", steps });
    const failure = cursor.run.status === "failed" ? cursor.run.error : undefined;
    const place = describePlace(itemAt(schedule, cursor));
    const saved = save === undefined ? undefined : await backend.savePolicy(save, new AbortController().signal);
    return {
      schedule,
      steps: run.records.steps,
      peakBytes: run.records.peakBytes,
      ...(failure && { failure: { ...failure, message: `step ${cursor.step + 1}, ${place}: ${failure.message}` } }),
      ...(saved !== undefined && { saved: saved.path }),
    };
  } finally {
    stopped.removeEventListener("abort", pause);
    await backend.close();
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// What is printed

const writeText = {
  begin: ({ name }: Schedule): void => {
    process.stdout.write(`schedule  ${name}\n`);
  },
  step: ({ step, statistics: seen, peakBytes, workSeconds, memorySeconds }: StepRecord): void => {
    const learned = seen && [
      `reward ${seen.reward.toFixed(3)}`,
      `kl ${seen.kl.toFixed(4)}`,
      `policy ${seen.policyLoss.toFixed(4)}`,
      `value ${seen.valueLoss.toFixed(4)}`,
      `entropy ${seen.entropy.toFixed(3)}`,
    ];
    const took = [
      `peak ${formatBytes(peakBytes)}`,
      `work ${workSeconds.toFixed(2)} s`,
      `memory ${memorySeconds.toFixed(3)} s`,
    ];
    process.stdout.write(`${[`step ${String(step + 1).padStart(3)}`, ...(learned ?? []), ...took].join("  ")}\n`);
  },
  summary: (outcome: Outcome, baseline: Outcome | undefined): void => {
    const lines = [`${outcome.steps.length} steps, peak ${formatBytes(outcome.peakBytes)}, ${secondsText(outcome)}`];
    if (baseline !== undefined) {
      lines.push(
        `baseline: ${baseline.steps.length} steps, peak ${formatBytes(baseline.peakBytes)}, ${secondsText(baseline)}`,
      );
      const { failure } = baseline;
      const savedBytes = baseline.peakBytes - outcome.peakBytes;
      const paidSeconds = stepSeconds(outcome) - stepSeconds(baseline);
      lines.push(
        failure === undefined
          ? `saved ${formatBytes(savedBytes)} of its peak for ${paidSeconds.toFixed(3)} s per step`
          : `baseline stopped: ${failure.message}`,
      );
    }
    if (outcome.saved !== undefined) lines.push(`policy saved to ${outcome.saved}`);
    process.stdout.write(`${lines.join("\n")}\n`);
    for (const { consumer, bytes } of outcome.failure?.holders ?? []) {
      process.stderr.write(`  ${consumer.padEnd(20)}${formatBytes(bytes)}\n`);
    }
  },
};

const writeJson = {
  begin: (): void => {},
  step: (step: StepRecord): void => {
    process.stdout.write(`${JSON.stringify({ type: "step", ...step })}\n`);
  },
  summary: (outcome: Outcome, baseline: Outcome | undefined): void => {
    const summary = { ...summaryOf(outcome), ...(baseline && { baseline: summaryOf(baseline) }) };
    process.stdout.write(`${JSON.stringify({ type: "summary", ...summary })}\n`);
  },
};

function summaryOf(outcome: Outcome) {
  const { schedule, steps, peakBytes, failure, saved } = outcome;
  return { schedule: schedule.name, steps: steps.length, peakBytes, stepSeconds: stepSeconds(outcome), failure, saved };
}

function secondsText(outcome: Outcome): string {
  return `${stepSeconds(outcome).toFixed(3)} s per step`;
}

/** Mean over the completed steps. */
function stepSeconds({ steps }: Outcome): number {
  const seconds = steps.reduce((sum, { workSeconds, memorySeconds }) => sum + workSeconds + memorySeconds, 0);
  return steps.length === 0 ? 0 : seconds / steps.length;
}
