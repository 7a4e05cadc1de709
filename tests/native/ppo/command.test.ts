/** `tideline run` as people run it: the built command in a process of its own. */
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { formatBytes, MIB } from "../../../core/units.ts";
import { openCheckpoint } from "../../../electron/session/checkpoint.ts";
import { BUILT_COMMAND, tideline } from "../command.ts";
import { withFolder } from "../support.ts";

const run = (...args: readonly string[]) => tideline("run", ...args);

function lines(out: string) {
  return out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** Too little for the critic's gradients, enough for all before: what a step takes depends on how many processors compute it. */
function shortOfTraining(): number {
  const [step] = lines(run("--steps", "1", "--json").out);
  const peaks = new Map<string, number>(
    step.phases.map(({ work, peakBytes }: { work: string; peakBytes: number }) => [work, peakBytes]),
  );
  return (peaks.get("train_critic") ?? 0) - MIB / 2;
}

/** The command, stopped by Ctrl-C after its first step, when `before` is done. */
async function interrupted(args: readonly string[], before = () => {}) {
  const child = spawn(process.execPath, [BUILT_COMMAND, ...args]);
  let out = "";
  let error = "";
  let told = false;
  child.stdout.on("data", (data: Buffer) => {
    out += data.toString();
    if (told || !/^step +1 /m.test(out)) return;
    before();
    // A second one would end it at once.
    told = child.kill("SIGINT");
  });
  child.stderr.on("data", (data: Buffer) => {
    error += data.toString();
  });
  const code = await new Promise((done) => child.on("close", done));
  return { code, out, error };
}

describe("wrong usage ends with 2 and says what is wrong", () => {
  it.each([
    [["--strategies", "swap=magic"], "swap=magic is no strategy"],
    [["--strategies", "swap=copy,swap=share"], "contradicts"],
    [["--strategies", "swap=copy", "--schedule", "a.json"], "--schedule or --strategies"],
    [["--strategies", ""], "names no strategy"],
    [["--steps", "0"], "at least 1"],
    [["--device-capacity", "cuda:1=5MiB"], "--device-capacity cuda:1: nothing of this run lies there, only on host"],
    [["--print-schedule", "--report", "report.html"], "--print-schedule"],
  ])("%j", (args, named) => {
    const { code, error } = run(...args);
    expect(error).toContain(named);
    expect(code).toBe(2);
  });
});

it("prints a line per step and a summary, and saves a policy that opens", async () => {
  await withFolder(async (folder) => {
    const saved = join(folder, "policy");
    const { code, out } = run(...["--steps", "2", "--save", saved]);
    expect(code).toBe(0);
    expect(out).toMatch(/^step +1 {2}reward 0\.\d+ .* peak [\d.]+ MiB {2}work [\d.]+ s {2}memory [\d.]+ s$/m);
    expect(out).toContain("2 steps, peak");
    const { config, hasTokenizer } = await openCheckpoint(saved);
    expect(config.vocabSize).toBe(259);
    expect(hasTokenizer).toBe(true);
  });
});

it("gives steps with phases, actions and receipts as JSON lines, the same for the same seed", () => {
  const args = ["--strategies", "swap=copy,reference=host", "--steps", "2", "--seed", "5", "--json"];
  const [first, second, summary] = lines(run(...args).out);
  expect(first.phases).toHaveLength(9);
  expect(second.actions[0]).toMatchObject({ label: "load reference.weights", receipt: { action: "resume" } });
  expect(summary).toMatchObject({ type: "summary", steps: 2 });
  const [again] = lines(run(...args).out);
  expect(again.statistics).toEqual(first.statistics);
  expect(again.samples).toEqual(first.samples);
});

it("says what int8 weights of a frozen role change before it runs with them", () => {
  const args = ["--strategies", "int8=reference", "--steps", "1"];
  const [change] = lines(run(...args, "--json").out);
  expect(change).toMatchObject({ type: "int8", role: "reference" });
  const [logprobs] = change.changes;
  expect(logprobs).toMatchObject({ quantity: "logprobs" });
  expect(run(...args).out).toContain(`log-probs change by ${logprobs.meanAbsolute.toPrecision(3)}`);
});

it("runs a schedule that was printed and edited by hand, and names what an edit broke", async () => {
  await withFolder(async (folder) => {
    const file = join(folder, "schedule.json");
    const { out } = run("--strategies", "swap=copy,reference=host", "--print-schedule");
    writeFileSync(file, out);
    expect(run("--schedule", file, "--steps", "1").code).toBe(0);
    writeFileSync(file, out.replace('{ "kind": "load", "consumer": "reference.weights" }', ""));
    const { code, error } = run("--schedule", file, "--steps", "1");
    expect(error).toContain("phase score_reference needs reference.weights, which is on the host");
    expect(error).toContain("hint: add `load reference.weights` before it");
    expect(code).toBe(1);
  });
});

it("says where memory ran out and who held it", () => {
  const { code, error } = run("--capacity", String(shortOfTraining()), "--steps", "1");
  expect(error).toContain("step 1, train_critic: out of memory");
  expect(error).toMatch(/engine\.kv_cache +4\.00 MiB/);
  expect(code).toBe(1);
});

it("stops at the next boundary on Ctrl-C and still saves the policy", async () => {
  await withFolder(async (folder) => {
    const saved = join(folder, "policy");
    const args = ["run", "--strategies", "swap=copy", "--steps", "100000", "--save", saved];
    const { code, out } = await interrupted(args);
    expect(out).toContain(`policy saved to ${saved}`);
    expect(code).toBe(130);
    expect((await openCheckpoint(saved)).config.vocabSize).toBe(259);
  });
});

it("says how large a KV cache and a micro-batch would fit, and what the baseline leaves room for", () => {
  const args = ["--strategies", "all", "--steps", "2", "--baseline"];
  const summary = lines(run(...args, "--json").out).at(-1);
  expect(summary.largest.kvCacheBytes).toBeGreaterThan(summary.baseline.largest.kvCacheBytes);
  expect(summary.largest.microBatch).toBeGreaterThan(summary.baseline.largest.microBatch);
  const [, cache, less, batch, fewer] =
    /^would fit: a KV cache of ([\d.]+) MiB \([\d,]+ tokens\) instead of ([\d.]+) MiB .*, or a micro-batch of (\d+) instead of (\d+)$/m.exec(
      run(...args).out,
    ) ?? [];
  expect(Number(cache)).toBeGreaterThan(Number(less));
  expect(Number(batch)).toBeGreaterThan(Number(fewer));
});

describe("--save", () => {
  it("is refused before anything runs where no folder can be made", async () => {
    await withFolder(async (folder) => {
      writeFileSync(join(folder, "notes.txt"), "keep");
      const places = [folder, join(folder, "notes.txt"), join(folder, "notes.txt/policy"), "/proc/tideline/policy"];
      for (const place of places) {
        const { code, out, error } = run("--steps", "1", "--save", place);
        expect(error).toContain(`error: ${place}`);
        expect({ code, out }, place).toEqual({ code: 1, out: "" });
      }
      expect(readdirSync(folder)).toEqual(["notes.txt"]);
    });
  });

  it("that fails in the end costs neither the summary nor the report, and ends with 1", async () => {
    await withFolder(async (folder) => {
      const saved = join(folder, "policy");
      const report = join(folder, "report.html");
      const args = ["run", "--steps", "100000", "--save", saved, "--report", report];
      const { code, out, error } = await interrupted(args, () => {
        mkdirSync(saved);
        writeFileSync(join(saved, "notes.txt"), "somebody else's");
      });
      expect(out).toMatch(/^\d+ steps?, peak/m);
      expect(out).toContain(`policy not saved: ${saved} is not empty`);
      expect(out).toContain(`report written to ${report}`);
      expect(error).toContain(`error: ${saved} is not empty`);
      expect(code).toBe(1);
      expect(readFileSync(report, "utf8")).toContain("Policy not saved");
      expect(readdirSync(folder).sort()).toEqual(["policy", "report.html"]);
    });
  });
});

describe("--report", () => {
  /** The figures at the head of a report, by their names. */
  function tiles(html: string): ReadonlyMap<string, string> {
    const found = html.matchAll(/<dt>([^<]*)<\/dt><dd><strong>([^<]*)<\/strong>/g);
    return new Map([...found].map(([, name = "", value = ""]) => [name, value]));
  }

  it("has the figures of the summary, beside the baseline", async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "report.html");
      const { code, out } = run(...["--strategies", "all", "--steps", "2", "--baseline", "--json", "--report", file]);
      expect(code).toBe(0);
      const [first, second, summary] = lines(out);
      const figures = tiles(readFileSync(file, "utf8"));
      expect(figures.get("Peak")).toBe(formatBytes(summary.peakBytes));
      expect(figures.get("Saved")).toBe(formatBytes(summary.baseline.peakBytes - summary.peakBytes));
      const rewards = [first, second].map(({ statistics }) => statistics.reward.toFixed(3));
      expect(figures.get("Reward")).toBe(rewards.join(" → "));
      expect(readdirSync(folder)).toEqual(["report.html"]);
    });
  });

  it("names who held what when memory ran out", async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "report.html");
      const capacityBytes = shortOfTraining();
      const { code, out } = run("--capacity", String(capacityBytes), "--steps", "1", "--report", file);
      expect(code).toBe(1);
      expect(out).toContain(`report written to ${file}`);
      const text = readFileSync(file, "utf8").replaceAll(/<[^>]*>/g, " ");
      expect(text).toMatch(/Stopped after 0 of 1 step, in step 1, train_critic: out of memory/);
      const percent = Math.round((100 * 4 * MIB) / capacityBytes);
      expect(text).toMatch(new RegExp(`engine\\.kv_cache\\s+4\\.00 MiB\\s+${percent} %`));
    });
  });

  it("is written of a run that does not even fit when its models are loaded", async () => {
    await withFolder(async (folder) => {
      const file = join(folder, "report.html");
      const { code, error } = run("--capacity", "1MiB", "--steps", "1", "--report", file);
      expect(code).toBe(1);
      expect(error).toContain("loading the models: out of memory");
      expect(readFileSync(file, "utf8")).toContain("loading the models");
    });
  });

  it("that cannot be written is refused before anything runs", () => {
    const { code, out, error } = run("--steps", "1", "--report", "/nonexistent/report.html");
    expect(error).toContain("there is no folder /nonexistent");
    expect({ code, out }).toEqual({ code: 1, out: "" });
  });
});
