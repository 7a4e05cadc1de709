/** The curves of a run: what is drawn of its steps, and how each figure is written. Pure; the charts only draw. */
import type { StepRecord, StepStatistics } from "../../../../core/run/records.ts";

export interface Curve {
  readonly name: keyof StepStatistics;
  readonly title: string;
  /** What it is, for the pointer. */
  readonly about: string;
  /** Of what has one. */
  readonly unit?: string;
  readonly digits: number;
}

export const CURVES: readonly Curve[] = [
  { name: "reward", title: "Reward", about: "mean over rollouts of what the rule or the reward model gave", digits: 3 },
  { name: "kl", title: "KL", about: "log-prob of the policy less that of the reference, mean over tokens", digits: 4 },
  { name: "policyLoss", title: "Policy loss", about: "clipped PPO loss", digits: 4 },
  { name: "valueLoss", title: "Value loss", about: "clipped loss of the critic", digits: 4 },
  { name: "entropy", title: "Entropy", about: "of the policy, mean over tokens", digits: 3 },
  { name: "responseTokens", title: "Response length", about: "mean over rollouts", unit: "tokens", digits: 2 },
];

/** More points than this are not told apart, and cost a chart its smoothness. */
export const MOST_POINTS = 240;

export interface CurvePoint {
  /** For people: counted from 1. Of several steps together, the last. */
  readonly step: number;
  /** How many steps it is the mean of. */
  readonly steps: number;
  readonly values: StepStatistics;
}

/** The steps as points, neighbours averaged where there are too many. */
export function pointsOf(steps: readonly StepRecord[], most = MOST_POINTS): readonly CurvePoint[] {
  const learned = steps.flatMap(({ step, statistics }) => (statistics === undefined ? [] : [{ step, statistics }]));
  const together = Math.max(1, Math.ceil(learned.length / most));
  const points: CurvePoint[] = [];
  for (let first = 0; first < learned.length; first += together) {
    const some = learned.slice(first, first + together);
    const last = some.at(-1);
    if (last === undefined) continue;
    points.push({ step: last.step + 1, steps: some.length, values: meanOf(some.map(({ statistics }) => statistics)) });
  }
  return points;
}

function meanOf(all: readonly StepStatistics[]): StepStatistics {
  const mean = (name: keyof StepStatistics): number =>
    all.reduce((sum, statistics) => sum + statistics[name], 0) / all.length;
  return {
    reward: mean("reward"),
    kl: mean("kl"),
    policyLoss: mean("policyLoss"),
    valueLoss: mean("valueLoss"),
    entropy: mean("entropy"),
    clipFraction: mean("clipFraction"),
    responseTokens: mean("responseTokens"),
  };
}
