/** The policy of the last completed update can be saved at the end of a run, wherever its weights are by then. */
import { expect, test } from "vitest";
import { type Action, describeAction, type Phase, type Schedule } from "../../../core/schedule/schedule.ts";
import type { Work } from "../../../core/schedule/works.ts";
import { demoWorkload, policyHash, scheduleOf, start } from "./support.ts";

const small = { rollouts: 32, epochs: 1, miniBatches: 2 };
const LOAD: Action = { kind: "load", consumer: "policy.weights" };
const DROP_ENGINE: Action = { kind: "release", consumer: "engine.weights", destination: "return" };
const FILL_ENGINE: Action = { kind: "resume", consumer: "engine.weights" };
const SWAP: Action = { kind: "swap", from: "policy.weights", method: "copy" };
const offload = (to: "host" | "disk"): Action => ({ kind: "offload", consumer: "policy.weights", to });

type Edits = { readonly [Name in Work]?: Partial<Phase> };

/** The demo's schedule with these actions at some phases, instead of what it has there. */
function edited(schedule: Schedule, edits: Edits): Schedule {
  return { ...schedule, phases: schedule.phases.map((phase) => ({ ...phase, ...edits[phase.work] })) };
}

/** Nothing of the policy is on the device between two steps. */
const AWAY_BETWEEN_STEPS: Edits = {
  rollout: { before: [LOAD, FILL_ENGINE, SWAP] },
  update_weights: { after: [offload("disk"), DROP_ENGINE] },
};
/** Only the engine has weights on the device after training, and they are those of before. */
const AWAY_AFTER_TRAINING: Edits = {
  train_policy: { after: [offload("host")] },
  update_weights: { before: [LOAD, SWAP] },
};

async function learned(): Promise<string> {
  const workload = await demoWorkload(small);
  const started = await start(workload, scheduleOf(workload, {}));
  await started.run.go({ kind: "steps", steps: 1 });
  return policyHash(started);
}

async function begun(edits: Edits) {
  const workload = await demoWorkload(small);
  return start(workload, edited(scheduleOf(workload, { swap: { method: "copy" } }), edits));
}

test("what lies on disk between two steps is loaded, and counts for nothing that the run took", async () => {
  const started = await begun(AWAY_BETWEEN_STEPS);
  const { run } = started;
  await run.go({ kind: "steps", steps: 1 });
  await expect(policyHash(started)).rejects.toMatchObject({
    data: { code: "not_resident", hint: "first `load policy.weights`" },
  });
  const actions = run.records.actions.length;
  expect(await policyHash(started, true)).toBe(await learned());
  expect(run.records.actions).toHaveLength(actions);
});

test("an engine that has not been given the last update yet is not saved in its stead", async () => {
  const started = await begun(AWAY_AFTER_TRAINING);
  for (let phase = 0; phase < 8; phase++) await started.run.go({ kind: "phase" });
  expect(started.run.memory).toMatchObject({
    "policy.weights": { residency: "host" },
    "engine.weights": { residency: "resident", contents: "stale" },
  });
  expect(await policyHash(started, true)).toBe(await learned());
});

test("where there is no room for it, what nobody needs any more makes some", async () => {
  const started = await begun(AWAY_BETWEEN_STEPS);
  const { run, backend } = started;
  await run.go({ kind: "steps", steps: 1 });
  const act = backend.act.bind(backend);
  const done: string[] = [];
  backend.act = async (action, ...rest) => {
    const isFull = done.length === 0;
    done.push(describeAction(action));
    if (isFull) throw Object.assign(new Error("out of memory"), { code: "out_of_memory" });
    return act(action, ...rest);
  };
  expect(await policyHash(started, true)).toBe(await learned());
  expect(done).toContain("release engine.kv_cache");
  expect(done.at(-1)).toBe("load policy.weights");
  const resident = backend.observe()[0].regions.filter(({ committedBytes }) => committedBytes > 0);
  expect(resident.map(({ consumer }) => consumer)).toEqual(["policy.weights"]);
});
