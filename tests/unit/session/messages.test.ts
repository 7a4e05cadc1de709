/** Whatever arrives at the session is answered: strangers' messages are errors as data, never a crash. */
import fc from "fast-check";
import { afterEach, expect, it } from "vitest";
import { answerEnvelopeSchema } from "../../../core/contract/messages.ts";
import { openTestSession } from "./open-session.ts";

let close = async () => {};
afterEach(() => close());

function open() {
  const test = openTestSession();
  close = () => test.session.close();
  return test;
}

it("answers a question with the envelope's own id", async () => {
  const { session } = open();
  const answer = await session.handle({ id: 41, command: "observe", params: {} });
  expect(answer).toMatchObject({ id: 41, ok: true, value: { backend: "native", engine: { status: "empty" } } });
});

it("names a command it does not know", async () => {
  const { session } = open();
  const answer = await session.handle({ id: 1, command: "format_disk", params: {} });
  expect(answer).toMatchObject({ id: 1, ok: false, error: { code: "unknown_command" } });
  expect(answer.ok || answer.error.message).toContain("format_disk");
});

it("does not take names of every object for commands", async () => {
  const { session } = open();
  const answer = await session.handle({ id: 1, command: "constructor", params: {} });
  expect(answer).toMatchObject({ ok: false, error: { code: "unknown_command" } });
});

it("names the field of a malformed parameter", async () => {
  const { session } = open();
  const answer = await session.handle({
    id: 2,
    command: "release",
    params: { consumer: "engine.weights", mode: "burn" },
  });
  expect(answer).toMatchObject({ id: 2, ok: false, error: { code: "bad_message", field: "mode" } });
});

it("refuses parameters that the contract does not know", async () => {
  const { session } = open();
  const answer = await session.handle({ id: 3, command: "observe", params: { surprise: true } });
  expect(answer).toMatchObject({ id: 3, ok: false, error: { code: "bad_message" } });
});

it("answers a malformed envelope with its id where it has one, and says in words what is malformed", async () => {
  const { session } = open();
  const refusals: readonly (readonly [raw: unknown, id: number, message: string])[] = [
    [{ id: 9, command: 5 }, 9, "the request: command is 5: must be text"],
    [{ id: 9 }, 9, "the request: command is missing: must be text"],
    [{ id: -1, command: "observe" }, 0, "the request: id is -1: must be at least 0"],
    [{ id: 7, command: "observe", also: 1 }, 7, "the request: also is not a field here"],
    [[], 0, "the request is []: must be an object"],
    // What was no JSON.
    [undefined, 0, "the request is missing: must be an object"],
  ];
  for (const [raw, id, message] of refusals) {
    const error = { code: "bad_message", message, hint: expect.any(String) };
    expect(await session.handle(raw)).toMatchObject({ id, ok: false, error });
  }
});

it("answers anything at all with a valid envelope", async () => {
  const { session } = open();
  await fc.assert(
    fc.asyncProperty(fc.anything(), async (message) => {
      answerEnvelopeSchema.parse(await session.handle(message));
    }),
  );
});

it("gives errors a hint that says what to do next", async () => {
  const { session } = open();
  const answer = await session.handle({ id: 1, command: "pause", params: { mode: "abort" } });
  expect(answer).toMatchObject({ ok: false, error: { code: "no_model", hint: "Open a checkpoint." } });
});
