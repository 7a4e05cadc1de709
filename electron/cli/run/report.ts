/** The report of `tideline run`, from what was executed. */
import type { RunReport } from "../../../core/report/report.ts";
import type { QuantisedRole } from "../../../core/run/quantisation.ts";
import type { Workload } from "../../ppo/workload.ts";
import { productVersion, surroundings } from "../../session/paths.ts";
import { summaryOf } from "../../session/run/plan.ts";
import type { Outcome } from "./execute.ts";

export interface Executed {
  readonly workloadFile: string;
  readonly workload: Workload;
  readonly askedSteps: number;
  readonly outcome: Outcome;
  readonly baseline?: Outcome;
  readonly quantisation: readonly QuantisedRole[];
}

export function reportOf(executed: Executed): RunReport {
  const { workloadFile, workload, askedSteps, outcome, baseline, quantisation } = executed;
  const { ending, shownStep, saved } = outcome;
  return {
    settings: {
      version: productVersion(surroundings()),
      finishedSeconds: Date.now() / 1000,
      command: commandText(process.argv.slice(2)),
      workload: summaryOf(workloadFile, workload),
      askedSteps,
      devices: outcome.devices,
      learning: learningFacts(workload),
    },
    own: outcome,
    ending,
    quantisation,
    ...(baseline && { baseline }),
    ...(shownStep && { shownStep }),
    ...(saved !== undefined && { savedTo: saved }),
  };
}

function learningFacts({ settings }: Workload): readonly (readonly [string, string])[] {
  const { optimizer, epochs, miniBatches, clipRange, valueClipRange, gamma, lambda } = settings;
  const rates = `policy ${optimizer.policy.learningRate}, critic ${optimizer.critic.learningRate}`;
  return [
    ["Temperature", String(settings.temperature)],
    ["Learning rates", rates],
    ["Updates", `${epochs} × ${miniBatches} per step`],
    ["Clip ranges", `policy ${clipRange}, values ${valueClipRange}`],
    ["KL coefficient", String(settings.klCoefficient)],
    ["Entropy coefficient", String(settings.entropyCoefficient)],
    ["Discount, GAE", `gamma ${gamma}, lambda ${lambda}`],
    ["Gradient checkpointing", settings.checkpointing ? "on" : "off"],
  ];
}

/** As a shell would read it again. */
function commandText(words: readonly string[]): string {
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ["npx tideline", ...quoted].join(" ");
}
