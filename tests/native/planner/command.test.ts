/** `tideline plan` as people run it: the built one, judged by what it prints and its exit code. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parsePlan } from "../../../core/planner/plan-file.ts";
import { PRESETS } from "../../../core/planner/presets.ts";
import { planToLine } from "../../../core/planner/share.ts";
import { MIB } from "../../../core/units.ts";
import { tideline } from "../command.ts";

const folder = mkdtempSync(join(tmpdir(), "tideline-plan-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const plan = (...args: readonly string[]) => tideline("plan", ...args);

const PRESET_FILE = resolve("assets/plans/4xh100-colocated.json");

describe("prints a loop as a table with its verdict", () => {
  it.each(PRESETS.map(({ name }) => name))("preset %s", (name) => {
    const { code, out, error } = plan("--preset", name);
    expect({ code, error }).toEqual({ code: 0, error: "" });
    for (const phase of ["rollout", "score_policy", "train_critic", "train_policy", "update_weights"]) {
      expect(out).toContain(phase);
    }
    expect(out).toMatch(/^(Fits|Tight|Does not fit): /m);
  });

  it("the same for a preset, its file and its line of text", () => {
    const { out } = plan("--preset", "4xh100-colocated");
    expect(plan("--workload", PRESET_FILE).out).toBe(out);
    const line = planToLine(parsePlan(readFileSync(PRESET_FILE, "utf8"), PRESET_FILE));
    expect(plan("--workload", line).out).toBe(out);
  });

  it("another verdict on another card", () => {
    expect(plan("--preset", "1xh100-adam-offload").out).toContain("Fits: ");
    expect(plan("--preset", "1xh100-adam-offload", "--gpu", "RTX 4090").out).toContain("Does not fit: ");
  });

  it("of the workload that `tideline run` runs, with its strategies", () => {
    const workload = resolve("assets/demo-ppo/workload.json");
    const peak = (...args: string[]) =>
      JSON.parse(plan("--workload", workload, ...args, "--json").out).gpus[0].peakBytes;
    expect(peak("--strategies", "all")).toBeLessThan(peak());
  });
});

describe("--embedded", () => {
  const demo = JSON.parse(readFileSync(resolve("assets/demo-ppo/workload.json"), "utf8"));
  const workloadWith = (changes: object) => {
    const roles = Object.entries<string>(demo.roles).map(([role, name]) => [role, resolve("assets/demo-ppo", name)]);
    const file = join(folder, "workload.json");
    writeFileSync(file, JSON.stringify({ ...demo, roles: Object.fromEntries(roles), ...changes }));
    return JSON.parse(plan("--workload", file, "--gpu", "H100", "--embedded", "--json").out);
  };

  it("says of the demo what a run on a card says: it fits, in the pieces of a GPU", () => {
    const { fit, capacityBytes, gpus } = workloadWith({});
    expect(fit).toBe("fits");
    expect(capacityBytes).toBe((demo.device.capacityBytes / demo.device.chunkBytes) * 2 * MIB);
    expect(gpus[0].peakBytes % (2 * MIB)).toBe(0);
  });

  it("knows what is placed on the run's own device as placed nowhere else", () => {
    const { gpus } = workloadWith({ placement: { engine: "cuda:0" } });
    expect(gpus).toEqual(workloadWith({}).gpus);
  });
});

describe("--best", () => {
  it("finds the cheapest schedule", () => {
    const answer = JSON.parse(plan("--preset", "4xh100-colocated", "--best", "--json").out);
    const given = JSON.parse(plan("--preset", "4xh100-colocated", "--json").out);
    expect(answer.best.found).toBe(true);
    expect(answer.fit).toBe("fits");
    expect(answer.stepSeconds).toBeLessThanOrEqual(given.stepSeconds);
  });

  it("says what would make it fit where none does", () => {
    const args = ["--preset", "1xh100-adam-offload", "--gpu", "RTX 4090", "--best"];
    expect(plan(...args).out).toContain("What would make it fit");
    const { best, changesThatFit } = JSON.parse(plan(...args, "--json").out);
    expect(best.found).toBe(false);
    expect(changesThatFit[0].edits[0].label).toEqual(expect.any(String));
  });
});

it("writes a plan down for launchers, with what they cannot say", () => {
  const { out } = plan("--preset", "4xh100-colocated", "--export", "openrlhf@0.11", "--export", "sglang");
  expect(out).toContain("--train.colocate_all");
  expect(out).toMatch(/--mem-fraction-static 0\.\d+/);
  expect(out).toContain("What it cannot say:");
});

it("prints the bytes alone as a table", () => {
  expect(plan("--preset", "demo", "--table", "csv").out.split("\r\n")[0]).toContain("engine.kv_cache (bytes)");
  expect(plan("--preset", "demo", "--table", "markdown").out).toContain("| rollout |");
});

describe("bad input", () => {
  it.each<readonly [string, readonly string[], number]>([
    ["--workload or --preset", [], 2],
    ["--workload or --preset", ["--preset", "demo", "--workload", "x.json"], 2],
    ["--table", ["--preset", "demo", "--table", "csv", "--json"], 2],
    ["4xh100-colocated", ["--preset", "nonsense"], 1],
    ["gpu.name", ["--preset", "demo", "--gpu", "Voodoo 2"], 1],
    ["openrlhf", ["--preset", "demo", "--export", "nonsense"], 1],
    ["strategies.swap.method", ["--preset", "4xh100-colocated", "--strategies", "swap=share"], 1],
    ["does not exist", ["--workload", "/nowhere/plan.json"], 1],
  ])("%s: %j", (named, args, expected) => {
    const { code, out, error } = plan(...args);
    expect(error).toContain(named);
    expect({ code, out }).toEqual({ code: expected, out: "" });
  });

  it.each<readonly [string, (plan: { workload: Record<string, unknown> }) => void]>([
    ["workload.batch", ({ workload }) => Object.assign(workload, { batch: 0 })],
    ["workload.batch", ({ workload }) => Object.assign(workload, { batch: 2 ** 60 })],
    [
      "workload.microBatch",
      ({ workload }) => Object.assign(workload, { batch: 2 ** 20, microBatch: 2 ** 20, responseTokens: 30_000 }),
    ],
    [
      "workload.policy.model: x: hidden_size",
      ({ workload }) => Object.assign(workload.policy as object, { model: { name: "x", config: {} } }),
    ],
    ["workload.reference.lora", ({ workload }) => Object.assign(workload.reference as object, { lora: { rank: 4 } })],
  ])("is an error at %s", (field, change) => {
    const data = JSON.parse(readFileSync(PRESET_FILE, "utf8"));
    change(data);
    const file = join(folder, "plan.json");
    writeFileSync(file, JSON.stringify(data));
    const { code, error } = plan("--workload", file);
    expect({ code, named: error.includes(field) }).toEqual({ code: 1, named: true });
  });
});
