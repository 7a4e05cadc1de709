/** Cancelling races with the engine, which may be done with a generation whose last events have not arrived. */
import { expect, test } from "vitest";
import { collectRollouts } from "../../../electron/ppo/collect-rollouts.ts";
import type { GenerationEvent } from "../../../native/addon.d.ts";

const REQUEST = {
  promptIds: [1, 2],
  maxNewTokens: 1,
  sampling: { temperature: 0, topK: 0, topP: 1, seed: 0 },
};
const LAST_EVENTS: readonly GenerationEvent[] = [
  { type: "token", index: 0, tokenId: 7, logprob: -1, timeSeconds: 1 },
  { type: "finished", index: 0, reason: "length", promptTokens: 2, newTokens: 1, prefillSeconds: 0, decodeSeconds: 0 },
];

/** An engine whose events come when the test says so. */
function engineWhere(cancel: (generation: number) => void) {
  let listener: (events: readonly GenerationEvent[]) => void = () => {};
  const generate = (_requests: unknown, onEvents: typeof listener) => {
    listener = onEvents;
    return 1;
  };
  return { engine: { generate, cancel }, deliver: (events: readonly GenerationEvent[]) => listener(events) };
}

test("what is cancelled just after the engine finished it is whole", async () => {
  const { engine, deliver } = engineWhere((generation) => {
    throw Object.assign(new Error(`there is no generation ${generation}, or it has finished`), { code: "not_found" });
  });
  const abort = new AbortController();
  const rollouts = collectRollouts(engine, [REQUEST], [], abort.signal);
  abort.abort();
  deliver(LAST_EVENTS);
  expect(await rollouts).toEqual([{ promptIds: [1, 2], responseIds: [7], ended: "length" }]);
});

test("any other reason why it cannot be cancelled is told", async () => {
  const engine = {
    generate: () => 1,
    cancel() {
      throw Object.assign(new Error("the engine is closed"), { code: "bad_argument" });
    },
  };
  const rollouts = collectRollouts(engine, [REQUEST], [], AbortSignal.abort());
  await expect(rollouts).rejects.toThrow("the engine is closed");
});

test("a failure is told when the engine is done with the others too", async () => {
  const { engine, deliver } = engineWhere(() => {});
  let settled = false;
  const rollouts = collectRollouts(engine, [REQUEST, REQUEST], [], new AbortController().signal);
  rollouts.catch(() => {}).finally(() => (settled = true));
  const error = Object.assign(new Error("cuda:1 stopped answering"), {
    code: "device_lost",
    hint: "choose cuda:1 again",
  });
  const finished = { ...LAST_EVENTS[1], type: "finished", reason: "failed" } as const;
  deliver([{ type: "error", index: 0, error }, finished as GenerationEvent]);
  await new Promise(setImmediate);
  expect(settled).toBe(false);
  deliver(LAST_EVENTS.map((event) => ({ ...event, index: 1 })));
  await expect(rollouts).rejects.toMatchObject({ code: "device_lost", message: error.message, hint: error.hint });
});
