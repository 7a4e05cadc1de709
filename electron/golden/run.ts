/**
 * `npm run golden -- DIR…`: runs the real engine on checkpoints whose answers are known, and the real trainer on PPO
 * updates that are, through everything that may not change them, and the planner's memory model on what was measured; prints
 * the worst error and pass or fail of each stage.
 */
import { basename } from "node:path";
import { toErrorData } from "../../core/errors.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import { loadAddon } from "../session/addon.ts";
import { openCheckpoint } from "../session/checkpoint.ts";
import { type CaseFolder, findCases } from "./cases.ts";
import { EngineRun } from "./engine-run.ts";
import { readGolden, toleranceFor } from "./golden-file.ts";
import { memoryStages } from "./memory.ts";
import { readMemoryGolden } from "./memory-file.ts";
import { PPO_TOLERANCE, ppoStages } from "./ppo.ts";
import { readPpoGolden } from "./ppo-file.ts";
import { withRopeOfTruth } from "./rope-precision.ts";
import { type GoldenCheckpoint, type Stage, stagesOf, withTemporaryFolder } from "./stages.ts";

export interface GoldenOptions {
  /** One JSON object a line instead of text. */
  readonly json: boolean;
  /** Where engine and trainer run; the host when left out. */
  readonly device?: string;
}

/** What the runner uses of the world; tests give their own. */
export interface GoldenSurroundings {
  readonly addon: TidelineAddon;
  readonly write: (line: string) => void;
}

/** Cases, not stages: a case passes when all of its stages do. */
export interface GoldenTotals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

type Report = (line: StageResult | Note) => void;

/** Something to know about a case that is neither pass nor fail. */
interface Note {
  readonly case: string;
  readonly note: string;
}

interface StageResult {
  readonly case: string;
  readonly stage: string;
  readonly passed: boolean;
  readonly worstError: number;
  readonly tolerance: number;
  readonly detail?: string;
}

/**
 * Runs every case under `folders` and prints as it goes.
 * @throws TidelineError bad_argument for folders without a case, unsupported without an addon; a case that fails, in
 * whatever way, is counted and does not end the run.
 */
export async function runGolden(
  folders: readonly string[],
  { json, device = "host" }: GoldenOptions,
  surroundings?: GoldenSurroundings,
): Promise<GoldenTotals> {
  const { addon, write } = surroundings ?? { addon: loadAddon(), write: (line) => process.stdout.write(`${line}\n`) };
  const print: Report = (line) => write(json ? JSON.stringify(line) : asText(line));
  const cases = await findCases(folders);
  const totals = { passed: 0, failed: 0, skipped: 0 };
  for (const folder of cases) {
    totals[await runCase(folder, cases, addon, device, print)]++;
  }
  const { passed, failed, skipped } = totals;
  write(json ? JSON.stringify(totals) : `${passed} passed, ${failed} failed, ${skipped} skipped`);
  return totals;
}

async function runCase(
  folder: CaseFolder,
  all: readonly CaseFolder[],
  addon: TidelineAddon,
  device: string,
  report: Report,
): Promise<keyof GoldenTotals> {
  const name = basename(folder.path);
  let stageName = "open";
  let tolerance = 0;
  let outcome: keyof GoldenTotals = "passed";
  const tell = (worstError: number, failure: string | undefined) => {
    if (failure !== undefined) outcome = "failed";
    const detail = failure === undefined ? {} : { detail: failure };
    report({ case: name, stage: stageName, passed: failure === undefined, worstError, tolerance, ...detail });
  };
  const runStages = async (stages: readonly Stage[]) => {
    for (const stage of stages) {
      stageName = stage.name;
      tolerance = stage.tolerance ?? tolerance;
      const { worstError, failure } = await stage.run();
      tell(worstError, failure);
    }
  };
  try {
    if (folder.kind === "ppo") {
      tolerance = PPO_TOLERANCE;
      const golden = await readPpoGolden(folder.path);
      await withTemporaryFolder((directory) => runStages(ppoStages(addon, device, golden, directory)));
      return outcome;
    }
    if (folder.kind === "memory") {
      const stages = memoryStages(await readMemoryGolden(folder.path));
      if (stages.length === 0) {
        report({ case: name, note: "skipped (nothing in it is predicted)" });
        return "skipped";
      }
      await runStages(stages);
      return outcome;
    }
    const stored = await readCase(folder);
    tolerance = toleranceFor(stored.golden);
    const a = await withRopeOfTruth(addon, device, stored);
    const { frequencyDtype } = a.checkpoint.config.rope;
    if (frequencyDtype)
      report({ case: name, note: `rotation frequencies rounded to ${frequencyDtype}, as in the truth` });
    const twin = await findTwin(stored, all);
    await withTemporaryFolder(async (directory) => {
      const run = await EngineRun.open(addon, device, a.checkpoint, a.golden);
      try {
        await runStages(stagesOf(run, a, twin, directory));
      } finally {
        await run.close();
      }
    });
  } catch (error) {
    // What state the engine is in is unknown now, so the stages that follow would prove nothing.
    const { code, message } = toErrorData(error);
    tell(Number.POSITIVE_INFINITY, `${message} (${code})`);
  }
  return outcome;
}

async function readCase({ path }: CaseFolder): Promise<GoldenCheckpoint> {
  return { checkpoint: await openCheckpoint(path), golden: await readGolden(path) };
}

/** Another case whose weights fit the same engine. */
async function findTwin(a: GoldenCheckpoint, all: readonly CaseFolder[]): Promise<GoldenCheckpoint | undefined> {
  for (const folder of all) {
    if (folder.kind !== "checkpoint" || folder.path === a.checkpoint.path) continue;
    // A damaged case fails in its own turn.
    const other = await readCase(folder).catch(() => undefined);
    if (other !== undefined && shapeOf(other) === shapeOf(a)) return other;
  }
  return undefined;
}

/** What two models need to have in common to be swapped: everything but which tokens begin and end a text. */
function shapeOf({ checkpoint }: GoldenCheckpoint): string {
  return JSON.stringify({
    ...checkpoint.config,
    dtype: checkpoint.dtype,
    eosTokenIds: undefined,
    bosTokenId: undefined,
  });
}

function asText(line: StageResult | Note): string {
  if ("note" in line) return `${line.case.padEnd(26)} ${line.note}`;
  const { case: name, stage, passed, worstError, tolerance, detail } = line;
  const error = Number.isFinite(worstError) ? worstError.toExponential(1) : "-";
  const text = `${name.padEnd(26)} ${stage.padEnd(28)} worst ${error.padEnd(8)} of ${tolerance.toExponential(0)}  ${passed ? "pass" : "FAIL"}`;
  return detail === undefined ? text : `${text}: ${detail}`;
}
