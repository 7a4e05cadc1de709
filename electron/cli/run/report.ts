/** The report of `tideline run`, from what was executed. */
import type { DeviceChoice } from "../../../core/contract/state.ts";
import { TidelineError } from "../../../core/errors.ts";
import { HOST } from "../../../core/planner/gpus/catalogue.ts";
import type { RunReport } from "../../../core/report/report.ts";
import type { QuantisedRole } from "../../../core/run/quantisation.ts";
import type { Workload } from "../../ppo/workload.ts";
import { loadAddon } from "../../session/addon.ts";
import { deviceChoices } from "../../session/native-observation.ts";
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
  const { ending, shownStep, saved, saveFailure } = outcome;
  return {
    settings: {
      version: productVersion(surroundings()),
      finishedSeconds: Date.now() / 1000,
      command: commandText(process.argv.slice(2)),
      workload: summaryOf(workloadFile, workload, ownDeviceOf(outcome)),
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
    ...(saveFailure && { saveFailure }),
  };
}

/** The first of a run's devices is its own. */
function ownDeviceOf({ devices: [own] }: Outcome): DeviceChoice {
  const name = own?.name ?? HOST;
  const known = deviceChoices(loadAddon()).find((device) => device.name === name);
  if (known === undefined) throw new TidelineError({ code: "device_unavailable", message: `there is no ${name}` });
  return known;
}

function learningFacts({ settings }: Workload): readonly (readonly [string, string])[] {
  const { optimizer, precision, epochs, miniBatches, clipRange, valueClipRange, gamma, lambda } = settings;
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
    ["Gradients, moments", `${precision.gradients ?? "fp32"}, ${precision.moments ?? "fp32"}`],
  ];
}

/** As a shell would read it again. */
function commandText(words: readonly string[]): string {
  const quoted = words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`));
  return ["npx tideline", ...quoted].join(" ");
}
