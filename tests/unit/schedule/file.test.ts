/** Schedule files: what a person can write, and what they are told when it is wrong. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TidelineError } from "../../../core/errors.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { formatSchedule, parseSchedule } from "../../../core/schedule/file.ts";
import { anyStrategies, EVERYTHING, MASTER_ROLES, ROLES, strategies } from "./support.ts";

const TEXT = formatSchedule(buildSchedule(EVERYTHING, ROLES));

function errorOf(text: string): TidelineError {
  try {
    parseSchedule(text, "mine.json");
  } catch (error) {
    if (error instanceof TidelineError) return error;
    throw error;
  }
  throw new Error("it was read without an error");
}

/** The file after a search and replace, which has to find something. */
function edited(from: string, to: string): string {
  expect(TEXT).toContain(from);
  return TEXT.replace(from, to);
}

it("is read back as it was written, with one action per line", () => {
  fc.assert(
    fc.property(anyStrategies, (set) => {
      if (set.swap.method === "share" && (set.releaseEngineWeights || set.singlePolicyCopy !== "off")) return;
      if (set.singlePolicyCopy === "cast") return;
      const schedule = buildSchedule(set, ROLES);
      expect(parseSchedule(formatSchedule(schedule), "mine.json")).toEqual(schedule);
    }),
    { numRuns: 100 },
  );
  expect(TEXT).toContain('\n        { "kind": "load", "consumer": "reference.weights" }\n');
});

it.each(["a [ b ] c", "{ }", 'two\nlines, and a "quote"', " "])("keeps its name to the letter: %j", (name) => {
  const schedule = { ...buildSchedule(EVERYTHING, ROLES), name };
  expect(parseSchedule(formatSchedule(schedule), "mine.json").name).toBe(name);
});

it("can be written by hand with little", () => {
  const schedule = parseSchedule(
    `{ "version": 1, "name": "score only",
       "roles": { "engine": "bf16", "policy": "bf16", "critic": "bf16", "reference": "int8", "reward": "rule" },
       "phases": [{ "work": "rollout", "after": [{ "kind": "release", "consumer": "engine.kv_cache" }] }, { "work": "score_policy" }] }`,
    "mine.json",
  );
  expect(schedule.phases).toEqual([
    { work: "rollout", before: [], after: [{ kind: "release", consumer: "engine.kv_cache", destination: "return" }] },
    { work: "score_policy", before: [], after: [] },
  ]);
});

describe("what is wrong is said with file, phase, field and what is allowed", () => {
  it.each([
    [
      "an unknown consumer",
      edited('"load", "consumer": "reference.weights"', '"load", "consumer": "refrence.weights"'),
      'mine.json: phase 3 (score_reference), before, action 1, consumer is "refrence.weights"',
      "phases[2].before[0].consumer",
      /allowed: engine\.weights, .*reference\.weights/,
    ],
    [
      "an unknown role",
      edited('"critic": "bf16"', '"critik": "bf16", "critic": "bf16"'),
      "mine.json: roles, critik is not a field here",
      "roles.critik",
      /^allowed: engine, policy, critic, reference, reward, optimizers$/,
    ],
    [
      "an unknown work",
      edited('"work": "advantages"', '"work": "advantage"'),
      'mine.json: phase 6 (advantage), work is "advantage"',
      "phases[5].work",
      /allowed: rollout, /,
    ],
    [
      "an unknown action",
      edited('"kind": "swap"', '"kind": "swop"'),
      'mine.json: phase 2 (score_policy), before, action 2, kind is "swop"',
      "phases[1].before[1].kind",
      /allowed: release, resume, offload, load, swap/,
    ],
    [
      "an unknown field",
      edited('"to": "host"', '"to": "host", "fast": true'),
      "mine.json: phase 3 (score_reference), after, action 1, fast is not a field here",
      "phases[2].after[0].fast",
      /^allowed: kind, consumer, to$/,
    ],
    ["another version", edited('"version": 1', '"version": 2'), "mine.json: version is 2", "version", /allowed: 1/],
    [
      "a work that is there twice",
      edited('"work": "advantages"', '"work": "rollout"'),
      "mine.json: phase 6 (rollout), work is a second rollout",
      "phases[5].work",
      /each work once/,
    ],
    [
      "a negative size",
      edited('"method": "copy"', '"method": "bucketed", "bucketBytes": -1')
        .replace(
          '{ "kind": "swap", "from": "engine.weights", "method": "copy" }',
          '{ "kind": "swap", "from": "engine.weights", "method": "bucketed", "bucketBytes": -1 }',
        )
        .replace('"swap": { "method": "bucketed", "bucketBytes": -1 }', '"swap": { "method": "copy" }'),
      "mine.json: phase 2 (score_policy), before, action 2, bucketBytes is -1: must be greater than 0",
      "phases[1].before[1].bucketBytes",
      undefined,
    ],
    [
      "a bucket without a size",
      edited('"from": "engine.weights", "method": "copy"', '"from": "engine.weights", "method": "bucketed"'),
      "mine.json: phase 2 (score_policy), before, action 2, bucketBytes is missing",
      "phases[1].before[1].bucketBytes",
      undefined,
    ],
    [
      "a cycle of sharing",
      edited('"from": "engine.weights", "method": "copy"', '"from": "engine.weights", "method": "share"'),
      "mine.json: phase 2 (score_policy), before, action 2, method makes a cycle: the engine reads the policy's weights, not the other way round",
      "phases[1].before[1].method",
      /allowed: copy, bucketed/,
    ],
    [
      "a cast that is missing",
      edited('"policy": "bf16"', '"policy": "fp32"'),
      "mine.json: phase 2 (score_policy), before, action 2, cast is missing, and policy is fp32, engine bf16",
      "phases[1].before[1].cast",
      /allowed: fp32/,
    ],
    [
      "an action on weights that a rule has not",
      edited('"reward": "int8"', '"reward": "rule"'),
      "mine.json: phase 4 (score_reward), before, action 1, consumer has no weights: the reward is a rule",
      "phases[3].before[0].consumer",
      /take this action out/,
    ],
  ])("%s", (_, text, message, field, hint) => {
    const { data } = errorOf(text);
    expect(data).toMatchObject({ code: "schedule_invalid", file: "mine.json", message, field });
    if (hint !== undefined) expect(data.hint).toMatch(hint);
  });

  it("works in an order that cannot be computed", () => {
    const schedule = buildSchedule(strategies({}), ROLES);
    const swapped = (first: number, second: number) => {
      const phases = [...schedule.phases];
      const [a, b] = [phases[first], phases[second]];
      if (a && b) [phases[first], phases[second]] = [b, a];
      return JSON.stringify({ ...schedule, phases });
    };
    expect(errorOf(swapped(5, 7)).message).toBe(
      "mine.json: phase 6 (train_policy), work needs the results of advantages, which comes later",
    );
    const missing = schedule.phases.filter(({ work }) => work !== "score_critic");
    expect(errorOf(JSON.stringify({ ...schedule, phases: missing })).message).toBe(
      "mine.json: phase 5 (advantages), work needs the results of score_critic, which is not in the schedule",
    );
  });

  it("sharing across precisions", () => {
    const schedule = { ...buildSchedule(strategies({ swap: { method: "share" } }), ROLES), roles: MASTER_ROLES };
    expect(errorOf(JSON.stringify(schedule)).message).toMatch(
      /fp32 weights of the policy cannot be the engine's bf16 ones/,
    );
  });

  it("text that is no schedule at all", () => {
    expect(errorOf("{").message).toMatch(/^mine\.json is not JSON: /);
    expect(errorOf("[]").message).toMatch(/^mine\.json/);
    expect(errorOf('{ "version": 1, "version": 1 }').message).toBe("mine.json: version is there twice");
  });
});
