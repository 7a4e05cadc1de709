/** Workload files and the demo's task: what is wrong with a file is said with its field. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import { randomOf, shuffled } from "../../../electron/ppo/random.ts";
import { rolloutRequests } from "../../../electron/ppo/rollouts.ts";
import { ADDITION, taskNamed } from "../../../electron/ppo/task.ts";
import { openWorkload } from "../../../electron/ppo/workload.ts";
import { readWorkload, settingsFor } from "../../../electron/ppo/workload-settings.ts";

const DEMO = resolve("assets/demo-ppo/workload.json");
const DEMO_MODEL = resolve("assets/demo");

function fileWith(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "tideline-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "workload.json");
  writeFileSync(file, text);
  return file;
}

test("the demo's folders are found beside its file", async () => {
  const { roles } = await readWorkload(DEMO);
  expect(roles).toEqual({
    policy: resolve("assets/demo-ppo/policy"),
    critic: resolve("assets/demo-ppo/critic"),
    reference: resolve("assets/demo-ppo/policy"),
  });
});

test("on a GPU the demo's memory comes in the pieces of a GPU, and there is as much more of it", async () => {
  const settings = await readWorkload(DEMO);
  expect(settingsFor("host", settings)).toEqual(settings);
  const { device, ...others } = settingsFor("cuda:0", settings);
  const { device: small, ...same } = settings;
  expect(others).toEqual(same);
  expect(device.chunkBytes).toBe(2 * MIB);
  expect(device.capacityBytes / (2 * MIB)).toBe(small.capacityBytes / (small.chunkBytes ?? 0));
  // One that says nothing of pieces, or asks for large ones, is taken at its word.
  const real = { ...settings, device: { capacityBytes: 24 * 1024 * MIB, kvCacheBytes: MIB } };
  expect(settingsFor("cuda:0", real)).toEqual(real);
});

test("a field that is wrong is named", async () => {
  const settings = await readWorkload(DEMO);
  const broken = fileWith(JSON.stringify({ ...settings, rollouts: -1 }));
  await expect(readWorkload(broken)).rejects.toMatchObject({
    data: {
      code: "bad_argument",
      field: "rollouts",
      message: expect.stringMatching(/rollouts is -1: must be a whole number from 1 /),
    },
  });
  const unknown = fileWith(JSON.stringify({ ...settings, roles: { ...settings.roles, judge: "x" } }));
  await expect(readWorkload(unknown)).rejects.toThrow("roles.judge is not a field here");
  await expect(readWorkload(fileWith("{}"))).rejects.toThrow("is missing");
});

test.each<readonly [string, object, RegExp]>([
  ["klCoefficient", { klCoefficient: 1e308 }, /is 1e\+308: must be a number from 0 to 1000000$/],
  ["temperature", { temperature: 0 }, /is 0: must be greater than 0$/],
  ["clipRange", { clipRange: 1e7 }, /is 10000000: must be at most 1000000$/],
  ["rollouts", { rollouts: 2 ** 40 }, /is 1099511627776: must be a whole number from 1 to 1048576$/],
  ["seed", { seed: 1.5 }, /is 1.5: must be a whole number$/],
  ["task", { task: 7 }, /is 7: must be text$/],
  ["optimizer.policy.learningRate", optimizer({ learningRate: 1e30 }), /is 1e\+30: must be at most 1000$/],
  ["optimizer.policy.eps", optimizer({ eps: 2 }), /is 2: must be at most 1$/],
  ["optimizer.policy.beta2", optimizer({ beta2: 1 }), /is 1: must be a number from 0 to 0.99999999$/],
  ["optimizer.policy.weightDecay", optimizer({ weightDecay: 1e4 }), /must be a number from 0 to 1000$/],
])("%s that no phase could compute with is refused with the range", async (field, change, words) => {
  const settings = await readWorkload(DEMO);
  const file = fileWith(JSON.stringify({ ...settings, ...change }));
  const message = expect.stringMatching(words);
  await expect(readWorkload(file)).rejects.toMatchObject({ data: { code: "bad_argument", field, message } });
});

function optimizer(policy: object): object {
  const learningRate = 1e-4;
  return { optimizer: { policy: { learningRate, ...policy }, critic: { learningRate } } };
}

test("a number too large to be one is shown as it was read", async () => {
  const text = JSON.stringify(await readWorkload(DEMO)).replace('"klCoefficient":0.02', '"klCoefficient":1e999');
  await expect(readWorkload(fileWith(text))).rejects.toThrow("klCoefficient is Infinity: must be a number from 0");
});

test("sequences that prompt and response do not fit into are refused before anything is loaded", async () => {
  const settings = await readWorkload(DEMO);
  await expect(openWorkload({ ...settings, sequenceTokens: 9 })).rejects.toMatchObject({
    data: {
      code: "bad_argument",
      field: "sequenceTokens",
      message: "sequenceTokens is 9, and a prompt has 6 tokens, its response up to 4",
      hint: "Give sequenceTokens at least 10, or a smaller maxNewTokens.",
    },
  });
  expect((await openWorkload({ ...settings, sequenceTokens: 10 })).settings.sequenceTokens).toBe(10);
});

test("also where no prompt of the first step is the longest that there can be", async () => {
  const settings = { ...(await readWorkload(DEMO)), rollouts: 1, sequenceTokens: 9 };
  for (let seed = 0; seed < 10; seed++) {
    await expect(openWorkload({ ...settings, seed })).rejects.toThrow("a prompt has 6 tokens, its response up to 4");
  }
});

test("whatever the seed, the engine gets one for each rollout", async () => {
  const workload = await openWorkload({ ...(await readWorkload(DEMO)), seed: Number.MAX_SAFE_INTEGER });
  const seeds = [0, 1].flatMap((step) => rolloutRequests(workload, step).map(({ sampling }) => sampling.seed));
  expect(new Set(seeds).size).toBe(seeds.length);
  for (const seed of seeds) expect(Number.isSafeInteger(seed)).toBe(true);
});

test("runs of different seeds sample with different seeds, in whichever of their steps", async () => {
  const workload = await openWorkload(await readWorkload(DEMO));
  const seedsOf = (seed: number) => {
    const steps = Array.from({ length: 2 * workload.settings.rollouts }, (_, step) => step);
    const changed = { ...workload, settings: { ...workload.settings, seed } };
    return steps.flatMap((step) => rolloutRequests(changed, step).map(({ sampling }) => sampling.seed));
  };
  const others = new Set(seedsOf(1));
  expect(seedsOf(0).filter((seed) => others.has(seed))).toEqual([]);
});

test("a file that is missing or is none says so, and what a workload is", async () => {
  const folder = resolve("assets/demo-ppo");
  const hint = expect.stringContaining("assets/demo-ppo/workload.json");
  const refusals = [
    ["/nowhere.json", "not_found", "/nowhere.json does not exist"],
    [folder, "bad_argument", `${folder} is a folder, not a file`],
    [fileWith("{"), "bad_argument", "is not JSON: it ends in line 1"],
    [fileWith(""), "bad_argument", "is empty"],
    [fileWith('{ "seed": 1, "seed": 2 }'), "bad_argument", "seed is there twice"],
  ] as const;
  for (const [file, code, words] of refusals) {
    const message = expect.stringContaining(words);
    await expect(readWorkload(file)).rejects.toMatchObject({ data: { code, message, hint, file } });
  }
});

test("a role whose folder is no checkpoint is named", async () => {
  const settings = await readWorkload(DEMO);
  const roles = { ...settings.roles, critic: "/nowhere" };
  await expect(openWorkload({ ...settings, roles })).rejects.toMatchObject({
    data: { code: "checkpoint_unreadable", message: "critic: /nowhere does not exist" },
  });
});

test("a reward model without a value head is refused before it is loaded, with its folder", async () => {
  const settings = await readWorkload(DEMO);
  const reward = settings.roles.policy;
  await expect(openWorkload({ ...settings, roles: { ...settings.roles, reward } })).rejects.toMatchObject({
    data: {
      code: "weights_mismatch",
      field: "roles.reward",
      message: `reward: ${reward} has no value_head.weight, which a reward model scores with`,
    },
  });
});

test("roles of different vocabularies are refused, with the role", async () => {
  const settings = await readWorkload(DEMO);
  const mixed = { ...settings, roles: { ...settings.roles, reference: DEMO_MODEL } };
  await expect(openWorkload(mixed)).rejects.toMatchObject({ data: { code: "weights_mismatch", field: "reference" } });
});

test("a policy without a tokenizer is refused, with the file that is missing", async () => {
  const settings = await readWorkload(DEMO);
  const folder = resolve("tests/fixtures/checkpoints/tiny-llama-gqa");
  const roles = { policy: folder, critic: folder, reference: folder };
  await expect(openWorkload({ ...settings, roles })).rejects.toMatchObject({
    data: { code: "bad_argument", file: resolve(folder, "tokenizer.json") },
  });
});

test("a task that does not exist is answered with those that do", () => {
  expect(() => taskNamed("chess")).toThrow("there is no task chess");
  expect(taskNamed("addition")).toBe(ADDITION);
});

test("addition rewards the right sum, and nothing around it", () => {
  expect(ADDITION.reward("7+15=", "22")).toBe(1);
  for (const wrong of ["23", "22 ", " 22", "022", "2", "", "22+"])
    expect(ADDITION.reward("7+15=", wrong), wrong).toBe(0);
  const random = randomOf(1);
  for (let count = 0; count < 100; count++) expect(ADDITION.prompt(random)).toMatch(/^\d{1,2}\+\d{1,2}=$/);
});

test("chance repeats for the same seeds, differs for others, and is even", () => {
  const numbers = (...seeds: number[]) => Array.from({ length: 1000 }, randomOf(...seeds));
  expect(numbers(1, 2)).toEqual(numbers(1, 2));
  expect(numbers(1, 2)).not.toEqual(numbers(2, 1));
  expect(numbers(1, 2)).not.toEqual(numbers(1, 3));
  const mean = numbers(7).reduce((sum, number) => sum + number, 0) / 1000;
  expect(mean).toBeGreaterThan(0.47);
  expect(mean).toBeLessThan(0.53);
  const order = shuffled([1, 2, 3, 4, 5, 6, 7, 8], randomOf(3));
  expect([...order].sort()).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  expect(order).not.toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
});
