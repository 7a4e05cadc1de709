/** What `tideline plan` prints for people: the loop as a table with bars, its transitions, the verdict. */
import type { Consumer } from "../../../core/consumers.ts";
import { commandText } from "../../../core/planner/export/command.ts";
import type { LauncherExport } from "../../../core/planner/export/export.ts";
import { describeTarget } from "../../../core/planner/export/target.ts";
import { layoutOf, modelName, type Plan } from "../../../core/planner/plan.ts";
import type { PhasePeak, PredictedPhase, Prediction } from "../../../core/planner/predict/prediction.ts";
import { nothingOnThisCard } from "../../../core/planner/search/changes.ts";
import { formatBytes, formatSeconds, GIB, MIB } from "../../../core/units.ts";
import type { PlanAnswer } from "./command.ts";

export function planAsText(answered: PlanAnswer): string {
  const { prediction, best, exports } = answered;
  const { plan } = prediction;
  const blocks = [
    [plan.name, describePlan(plan), `schedule: ${prediction.schedule.name}`].join("\n"),
    ...prediction.gpus.map((_, index) => phaseTable(prediction, index)),
    transitionsText(prediction),
    summaryText(prediction),
    best && bestText(best, answered),
    ...exports.map(exportText),
  ];
  return `${blocks.filter((block) => block !== undefined && block !== "").join("\n\n")}\n`;
}

function describePlan({ workload, placement, gpu }: Plan): string {
  const { policy, critic, reference, reward, batch, promptTokens, responseTokens, microBatch } = workload;
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const cards =
    placement.kind === "colocated"
      ? `${trainerGpus} × ${gpu.name}, trainers and engines together`
      : `${trainerGpus} × ${gpu.name} for trainers, ${engineGpus} for engines`;
  const models = new Map<string, string[]>();
  const add = (role: string, model: Parameters<typeof modelName>[0]) =>
    models.set(modelName(model), [...(models.get(modelName(model)) ?? []), role]);
  add("policy", policy.model);
  add("critic", critic.model);
  add("reference", reference.model);
  if (reward !== "rule") add("reward", reward.model);
  const names = [...models].map(([model, roles]) => `${model} (${roles.join(", ")})`).join(", ");
  const sizes = `${batch} rollouts of ${promptTokens} + ${responseTokens} tokens, micro-batch ${microBatch}`;
  return `${cards}\n${names}\n${sizes}`;
}

// ---------------------------------------------------------------------------------------------------------------------
// The table

/** Columns that a terminal has room for, from the bottom of the stack to its top. */
const COLUMNS: readonly (readonly [title: string, consumers: readonly Consumer[]])[] = [
  ["context", ["context"]],
  ["engine", ["engine.weights", "workspace"]],
  ["KV cache", ["engine.kv_cache"]],
  ["frozen", ["reference.weights", "reward.weights"]],
  ["policy", ["policy.weights", "policy.gradients", "policy.optimizer"]],
  ["critic", ["critic.weights", "critic.gradients", "critic.optimizer"]],
  ["passes", ["activations", "logits"]],
];
const KINDS = { shared: "each GPU", trainer: "each trainer's GPU", engine: "each engine's GPU" } as const;
const BAR = 24;
const WIDTH = 9;

function phaseTable(prediction: Prediction, index: number): string {
  const { phases, capacityBytes, gpus } = prediction;
  const [unitBytes, unit] = capacityBytes >= GIB ? [GIB, "GiB"] : [MIB, "MiB"];
  const shown = COLUMNS.filter(([, consumers]) => phases.some(({ peaks }) => heldBytes(peaks[index], consumers) > 0));
  const number = (bytes: number) => (bytes === 0 ? "·" : (bytes / unitBytes).toFixed(2)).padStart(WIDTH);
  const title = `${unit} of ${KINDS[gpus[index]?.kind ?? "shared"]}`;
  const first = Math.max(title.length, ...phases.map(({ work }) => work.length)) + 1;
  const head = [
    title.padEnd(first),
    ...shown.map(([name]) => name.padStart(WIDTH)),
    "total".padStart(WIDTH),
    ` of ${(capacityBytes / unitBytes).toFixed(1)}`.padEnd(BAR + 2),
    "work".padStart(WIDTH),
    "memory".padStart(WIDTH),
  ];
  const rows = phases.map((phase) => {
    const peak = phase.peaks[index];
    const bytes = peak?.bytes ?? 0;
    return [
      phase.work.padEnd(first),
      ...shown.map(([, consumers]) => number(heldBytes(peak, consumers))),
      number(bytes),
      ` ${bar(bytes, capacityBytes)}`.padEnd(BAR + 2),
      secondsCell(phase.workTerm.amount),
      secondsCell(phase.memorySeconds),
    ];
  });
  return [head, ...rows].map((cells) => cells.join("").trimEnd()).join("\n");
}

function heldBytes(peak: PhasePeak | undefined, consumers: readonly Consumer[]): number {
  const holders = peak?.holders.filter(({ consumer }) => consumers.includes(consumer)) ?? [];
  return holders.reduce((sum, { bytes }) => sum + bytes, 0);
}

const EIGHTHS = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** Full at the capacity; what goes beyond it is said by the arrow. */
function bar(bytes: number, capacityBytes: number): string {
  if (bytes > capacityBytes) return `${"█".repeat(BAR)}▶`;
  const eighths = Math.round((bytes / capacityBytes) * BAR * 8);
  return `${"█".repeat(Math.floor(eighths / 8))}${EIGHTHS[eighths % 8]}`;
}

function secondsCell(seconds: number): string {
  return (seconds === 0 ? "·" : formatSeconds(seconds)).padStart(WIDTH);
}

// ---------------------------------------------------------------------------------------------------------------------
// Below the table

function transitionsText({ phases }: Prediction): string {
  const lines = phases.flatMap(transitionLines);
  if (lines.length === 0) return "";
  return ["memory actions", ...lines].join("\n");
}

function transitionLines({ work, transitions }: PredictedPhase): readonly string[] {
  return transitions.map(({ label, edge, totalSeconds, copiedBytes }) => {
    const copied = copiedBytes === 0 ? "" : `  ${formatBytes(copiedBytes)} copied`;
    const place = `${edge} ${work}`;
    return `  ${place.padEnd(24)}${label.padEnd(52)}${secondsCell(totalSeconds)}${copied}`;
  });
}

function summaryText(prediction: Prediction): string {
  const { verdict, workSeconds, memorySeconds, hostBytes } = prediction;
  const seconds = `${formatSeconds(workSeconds + memorySeconds)} per PPO step, ${formatSeconds(memorySeconds)} of it memory`;
  const host = hostBytes === 0 ? [] : [`${formatBytes(hostBytes)} of host memory for what is offloaded`];
  return [verdict, `${seconds} (a roofline: for comparing plans, not clocks)`, ...host].join("\n");
}

function bestText(best: NonNullable<PlanAnswer["best"]>, { prediction, changes }: PlanAnswer): string {
  if (best.kind === "found") return `The cheapest of ${best.schedules} schedules that fit with a margin.`;
  const head = `None of ${best.schedules} schedules fits with a margin; above is the one that takes least.`;
  const nothing = nothingOnThisCard(prediction.plan, changes) ?? [];
  if (changes.length === 0) return [head].concat(nothing).join("\n");
  const lines = changes.map(({ edits, prediction: changed }) => {
    const what = edits.map(({ label }) => label).join(" and ");
    const { workSeconds, memorySeconds, verdict } = changed;
    return `  ${what}\n    ${verdict} ${formatSeconds(workSeconds + memorySeconds)} per step`;
  });
  return [head].concat(nothing, "What would make it fit, the smallest change first:", lines).join("\n");
}

function exportText({ target, commands, unexpressed, notes }: LauncherExport): string {
  return [
    `# ${describeTarget(target)}`,
    ...commands.map((command) => commandText(command)),
    ...(unexpressed.length === 0 ? [] : ["", "What it cannot say:"]),
    ...unexpressed.map(({ what, why, nearest }) => `  ${what}: ${why}. Nearest: ${nearest}.`),
    ...(notes.length === 0 ? [] : ["", "Beside it:"]),
    ...notes.map((note) => `  ${note}`),
  ].join("\n");
}
