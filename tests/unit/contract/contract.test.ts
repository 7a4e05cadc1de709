/** The contract holds on both sides: what fits passes unchanged, what does not is refused, and types say the same. */
import fc from "fast-check";
import { describe, expect, expectTypeOf, it } from "vitest";
import {
  type CommandAnswer,
  type CommandInput,
  type CommandName,
  type CommandRequest,
  commands,
  isCommandName,
} from "../../../core/contract/commands.ts";
import {
  type AnswerEnvelope,
  answerEnvelopeSchema,
  type Door,
  eventSchema,
  requestEnvelopeSchema,
} from "../../../core/contract/messages.ts";
import type { SessionState } from "../../../core/contract/state.ts";
import type { Receipt } from "../../../core/contract/vocabulary.ts";

const RECEIPT: Receipt = {
  action: "release",
  consumer: "engine.kv_cache",
  method: "discard",
  bytesFreed: 67_108_864,
  bytesRetained: 0,
  bytesCommitted: 0,
  bytesCopied: 0,
  milliseconds: 1.25,
};

const BATCH = {
  consumers: ["engine.weights"],
  rows: 1,
  samples: [1_780_000_000.5, 1, 2, 3, 4, 5, 6, 7, 8],
  dropped: 0,
};
const SAMPLING = { temperature: 0.7, topK: 40, topP: 0.9, seed: 7 };

/** One well-formed request per command. */
const REQUESTS: { readonly [Name in CommandName]: CommandInput<Name> } = {
  observe: {},
  history: { sinceSeconds: 0, maxRows: 1000 },
  configure: { capacityBytes: 2 ** 28, samplingHertz: 100 },
  open_checkpoint: { path: "/models/llama" },
  load_model: { path: "/models/llama", role: "policy" },
  unload_model: { role: "policy" },
  release: { consumer: "engine.kv_cache", mode: "discard" },
  resume: { consumer: "engine.kv_cache" },
  swap: { source: { kind: "model", role: "policy" } },
  lend: { consumer: "engine.weights", path: "/run/user/1000/tideline/engine.weights.sock" },
  end_loan: { consumer: "engine.weights" },
  trim: {},
  measure_link: {},
  generate: { prompt: { kind: "ids", ids: [1, 2, 3] }, maxNewTokens: 8, sampling: SAMPLING },
  cancel_generation: { generation: 1 },
  pause: { mode: "in_place" },
  continue: {},
  cancel_operation: { id: 1 },
  save_checkpoint: { path: "/models/out" },
  list_folder: { path: "" },
  read_workload: {},
  open_run: { schedule: { kind: "strategies", strategies: {} }, capacityBytes: 2 ** 25 },
  close_run: {},
  go: { goal: { kind: "steps", steps: 1 } },
  retry: {},
  pause_run: {},
  cancel_run: {},
  set_breakpoints: { breakpoints: [{ kind: "phase", work: "rollout" }] },
  set_pace: { itemSeconds: 0.5 },
  act: { action: { kind: "offload", consumer: "critic.weights", to: "host" } },
  undo: {},
  measure_baseline: { maxSteps: 1 },
  forget_recent: { path: "/models/llama" },
};

describe("commands", () => {
  it.each(Object.keys(commands) as CommandName[])(
    "%s: a well-formed request passes, a stray field does not",
    (name) => {
      const schema = commands[name].request;
      expect(schema.safeParse(REQUESTS[name]).success).toBe(true);
      expect(schema.safeParse({ ...REQUESTS[name], stray: 1 }).success).toBe(false);
      for (const wrong of [undefined, null, 1, "x", []]) expect(schema.safeParse(wrong).success).toBe(false);
    },
  );

  it.each(Object.keys(commands) as CommandName[])("%s: no JSON value whatever makes its check throw", (name) => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(typeof commands[name].request.safeParse(value).success).toBe("boolean");
      }),
      { numRuns: 50 },
    );
  });

  it("fill in what a caller may leave out", () => {
    expect(commands.release.request.parse(REQUESTS.release)).toMatchObject({ destination: "return" });
    expect(commands.swap.request.parse(REQUESTS.swap)).toMatchObject({ method: "auto", running: "refuse" });
    expect(commands.generate.request.parse(REQUESTS.generate)).toMatchObject({ batch: 1 });
  });

  it.each<[CommandName, object]>([
    ["history", { sinceSeconds: 0, maxRows: -1 }],
    ["history", { sinceSeconds: Number.NaN, maxRows: 1 }],
    ["configure", { capacityBytes: -1 }],
    ["configure", { capacityBytes: 1.5 }],
    ["configure", { capacityBytes: 2 ** 53 }],
    ["configure", { samplingHertz: 9 }],
    ["configure", { samplingHertz: 1001 }],
    ["open_checkpoint", { path: "" }],
    ["open_checkpoint", { path: "x".repeat(4097) }],
    ["load_model", { path: "/m", role: "engine" }],
    ["release", { consumer: "engine.weights", mode: "burn" }],
    ["release", { consumer: "", mode: "discard" }],
    ["swap", { source: { kind: "model", path: "/m" } }],
    ["generate", { prompt: { kind: "ids", ids: [] }, maxNewTokens: 1, sampling: SAMPLING }],
    ["generate", { prompt: { kind: "ids", ids: [-1] }, maxNewTokens: 1, sampling: SAMPLING }],
    ["generate", { prompt: { kind: "text", text: "" }, maxNewTokens: 1, sampling: SAMPLING }],
    ["generate", { prompt: { kind: "text", text: "a" }, maxNewTokens: 0, sampling: SAMPLING }],
    ["generate", { prompt: { kind: "text", text: "a" }, maxNewTokens: 1, batch: 0, sampling: SAMPLING }],
    ["generate", { prompt: { kind: "text", text: "a" }, maxNewTokens: 1, sampling: { ...SAMPLING, topP: 0 } }],
    ["generate", { prompt: { kind: "text", text: "a" }, maxNewTokens: 1, sampling: { ...SAMPLING, temperature: -1 } }],
    ["cancel_generation", { generation: -1 }],
    ["pause", { mode: "later" }],
    ["open_run", { schedule: { kind: "strategies", strategies: { releaseKvCache: 1 } } }],
    ["go", { goal: { kind: "steps", steps: 0 } }],
    ["set_pace", { itemSeconds: -1 }],
    ["set_breakpoints", { breakpoints: [{ kind: "phase", work: "sleep" }] }],
    ["act", { action: { kind: "release", consumer: "context" } }],
    ["measure_baseline", { maxSteps: 0 }],
  ])("%s refuses %j", (name, request) => {
    expect(commands[name].request.safeParse(request).success).toBe(false);
  });

  it("are known by their own names alone", () => {
    expect(isCommandName("observe")).toBe(true);
    for (const name of ["", "constructor", "__proto__", "toString", "Observe"]) expect(isCommandName(name)).toBe(false);
  });
});

describe("envelopes", () => {
  it("pass with any params, since those are the command's to check", () => {
    const envelope = { id: 3, command: "release", params: { anything: [1] } };
    expect(requestEnvelopeSchema.parse(envelope)).toEqual(envelope);
  });

  it.each([
    undefined,
    null,
    "observe",
    [],
    {},
    { command: "observe", params: {} },
    { id: -1, command: "observe", params: {} },
    { id: 1.5, command: "observe", params: {} },
    { id: 1, command: 7, params: {} },
    { id: 1, command: "x".repeat(65), params: {} },
    { id: 1, command: "observe", params: {}, extra: true },
  ])("are refused when malformed: %j", (envelope) => {
    expect(requestEnvelopeSchema.safeParse(envelope).success).toBe(false);
  });

  it("carry either a value or an error with a known code", () => {
    expect(answerEnvelopeSchema.safeParse({ id: 1, ok: true, value: undefined }).success).toBe(true);
    expect(answerEnvelopeSchema.safeParse({ id: 1, ok: false, error: { code: "busy", message: "x" } }).success).toBe(
      true,
    );
    expect(answerEnvelopeSchema.safeParse({ id: 1, ok: false, value: 1 }).success).toBe(false);
    expect(answerEnvelopeSchema.safeParse({ id: 1, ok: false, error: { code: "oops", message: "x" } }).success).toBe(
      false,
    );
  });
});

describe("events", () => {
  const action = {
    id: 1,
    timeSeconds: 1_780_000_000.5,
    kind: "release",
    label: "release engine.kv_cache",
    milliseconds: 1,
  };

  it.each([
    { event: "samples", batch: BATCH },
    { event: "action", action: { ...action, consumer: "engine.kv_cache", receipt: RECEIPT } },
    { event: "action", action: { ...action, error: { code: "busy", message: "running", hint: "wait" } } },
  ])("survive JSON and validation unchanged: %j", (event) => {
    expect(eventSchema.parse(JSON.parse(JSON.stringify(event)))).toEqual(event);
  });

  it.each([
    { event: "unknown" },
    { event: "samples", batch: { ...BATCH, rows: -1 } },
    { event: "samples", batch: { ...BATCH, samples: ["1"] } },
    { event: "action", action: { ...action, kind: "explode" } },
    { event: "action", action: { ...action, receipt: { ...RECEIPT, bytesFreed: -1 } } },
    { event: "state", state: {} },
  ])("are refused when malformed: %j", (event) => {
    expect(eventSchema.safeParse(event).success).toBe(false);
  });
});

describe("types", () => {
  it("follow the schemas", () => {
    expectTypeOf<CommandRequest<"release">>().toEqualTypeOf<{
      consumer: string;
      mode: "discard" | "host" | "disk" | "clean";
      destination: "hold" | "return";
    }>();
    expectTypeOf<CommandInput<"release">>().toExtend<{
      consumer: string;
      destination?: "hold" | "return" | undefined;
    }>();
    expectTypeOf<CommandAnswer<"observe">>().toEqualTypeOf<SessionState>();
    expectTypeOf<CommandAnswer<"swap">>().toEqualTypeOf<Receipt>();
    expectTypeOf<CommandAnswer<"trim">>().toEqualTypeOf<{ bytesFreed: number }>();
    expectTypeOf<AnswerEnvelope["ok"]>().toEqualTypeOf<boolean>();
    expectTypeOf<Door["kind"]>().toEqualTypeOf<"electron" | "browser">();
  });
});
