/** What a step will offload is prepared while its rollout runs: once per consumer, and told as an action like any other. */
import { expect, test } from "vitest";
import { TidelineError } from "../../../core/errors.ts";
import { buildSchedule } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { strategySetSchema } from "../../../core/schedule/strategies.ts";
import type { ScheduledConsumer } from "../../../core/schedule/works.ts";
import { Preparations } from "../../../electron/ppo/preparations.ts";
import type { ActionRecord } from "../../../electron/ppo/records.ts";
import type { Receipt } from "../../../native/addon.d.ts";

const ROLES: Roles = { engine: "fp32", policy: "fp32", critic: "fp32", reference: "fp32", reward: "rule" };
const SCHEDULE = buildSchedule(
  strategySetSchema.parse({ swap: { method: "copy" }, reference: "host", optimizerOnHost: true }),
  ROLES,
);
const { signal } = new AbortController();

function receiptOf(consumer: ScheduledConsumer, bytesPrepared: number): Receipt {
  const nothing = { bytesFreed: 0, bytesRetained: 0, bytesCommitted: 0, bytesCopied: 0 };
  return { action: "prepare", consumer, method: "host", ...nothing, bytesPrepared, milliseconds: 1 };
}

/** What was asked of a backend that answers so, and what was told of it once all was answered. */
async function during(
  works: readonly ("rollout" | "train_policy")[],
  answer: (consumer: ScheduledConsumer) => Promise<Receipt>,
  schedule = SCHEDULE,
): Promise<{ readonly asked: readonly ScheduledConsumer[]; readonly told: readonly ActionRecord[] }> {
  const asked: ScheduledConsumer[] = [];
  const told: ActionRecord[] = [];
  const answers: Promise<unknown>[] = [];
  const prepareOffload = (consumer: ScheduledConsumer) => {
    asked.push(consumer);
    const answered = answer(consumer);
    answers.push(answered);
    return answered;
  };
  const preparations = new Preparations({ prepareOffload }, schedule, (action) => told.push(action));
  for (const [step, work] of works.entries()) preparations.duringWork(work, step, signal);
  await Promise.allSettled(answers);
  await new Promise(setImmediate);
  return { asked, told };
}

test("each consumer that is offloaded to the host is prepared during the rollout, and only then", async () => {
  const { asked, told } = await during(["rollout"], async (consumer) => receiptOf(consumer, 100));
  expect(asked.toSorted()).toEqual(["critic.optimizer", "policy.optimizer", "reference.weights"]);
  expect(told.map(({ kind, origin, work }) => [kind, origin, work])).toEqual(
    asked.map(() => ["prepare", "ahead", "rollout"]),
  );
  expect(told.map(({ label }) => label)).toContain("prepare policy.optimizer for the host");
  expect(told[0]?.receipt).toMatchObject({ bytesPrepared: 100 });
  expect((await during(["train_policy"], async (consumer) => receiptOf(consumer, 100))).asked).toEqual([]);
});

test("optimizers that stay on the host are prepared too, though no action takes them there", async () => {
  const streamed = strategySetSchema.parse({ optimizerOnHost: true, optimizerStreamed: true });
  const { asked } = await during(
    ["rollout"],
    async (consumer) => receiptOf(consumer, 100),
    buildSchedule(streamed, ROLES),
  );
  expect(asked.toSorted()).toEqual(["critic.optimizer", "policy.optimizer"]);
});

test("what is still under way is not asked for again, and what was there is not told", async () => {
  const { asked, told } = await during(["rollout", "rollout"], async (consumer) => receiptOf(consumer, 0));
  expect(asked.length).toBe(3);
  expect(told).toEqual([]);
});

test("what is there is not asked for again, and what failed is", async () => {
  const asked: ScheduledConsumer[] = [];
  const prepareOffload = async (consumer: ScheduledConsumer) => {
    asked.push(consumer);
    if (consumer === "reference.weights") throw new TidelineError({ code: "out_of_memory", message: "refused" });
    return receiptOf(consumer, 100);
  };
  const preparations = new Preparations({ prepareOffload }, SCHEDULE, () => undefined);
  for (const step of [0, 1]) {
    preparations.duringWork("rollout", step, signal);
    await new Promise(setImmediate);
  }
  expect(asked.slice(3)).toEqual(["reference.weights"]);
});

test("what fails is told and fails nothing else; what was cancelled is not", async () => {
  const { told } = await during(["rollout"], async (consumer) => {
    throw new TidelineError({
      code: consumer === "reference.weights" ? "cancelled" : "out_of_memory",
      message: `${consumer} was refused`,
    });
  });
  expect(told.map(({ consumer, error }) => [consumer, error?.code]).toSorted()).toEqual([
    ["critic.optimizer", "out_of_memory"],
    ["policy.optimizer", "out_of_memory"],
  ]);
});
