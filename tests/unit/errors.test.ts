/** Errors cross every border as data: the code, the numbers and the hint survive, and nothing becomes a crash. */
import { describe, expect, it } from "vitest";
import { assertNever, errorDataSchema, TidelineError, toErrorData } from "../../core/errors.ts";

const OUT_OF_MEMORY = {
  code: "out_of_memory",
  message: "engine.kv_cache asked for 64 MiB, 16 MiB are free",
  hint: "release engine.weights",
  requestedBytes: 67_108_864,
  freeBytes: 16_777_216,
  capacityBytes: 268_435_456,
  holders: [{ consumer: "engine.weights", bytes: 251_658_240 }],
} as const;

describe("toErrorData", () => {
  it("keeps a TidelineError's data as it is", () => {
    const data = { ...OUT_OF_MEMORY, holders: [...OUT_OF_MEMORY.holders] };
    const error = new TidelineError(data);
    expect(toErrorData(error)).toEqual(data);
    expect(error).toMatchObject({ message: data.message, code: "out_of_memory", hint: "release engine.weights" });
  });

  it("reads the details that the addon puts on its errors", () => {
    const { message, ...details } = OUT_OF_MEMORY;
    expect(toErrorData(Object.assign(new Error(message), details))).toEqual(OUT_OF_MEMORY);
  });

  it("drops properties that are not part of the contract", () => {
    const error = Object.assign(new Error("gone"), { code: "device_lost", pointer: 0x7f, stackDump: "…" });
    expect(toErrorData(error)).toEqual({ code: "device_lost", message: "gone" });
  });

  it.each([
    [Object.assign(new Error("no entry"), { code: "ENOENT" }), "no entry"],
    [Object.assign(new Error("bad"), { code: "busy", requestedBytes: "many" }), "bad"],
    [new TypeError("x is not a function"), "x is not a function"],
    ["a string", "a string"],
    [undefined, "undefined"],
    [null, "null"],
  ])("calls what it does not know internal, with its message: %s", (thrown, message) => {
    expect(toErrorData(thrown)).toEqual({ code: "internal", message });
  });

  it("always gives something that passes the contract and JSON", () => {
    for (const thrown of [new TidelineError({ code: "busy", message: "" }), new Error("x"), 7, {}, Symbol.iterator]) {
      const data = toErrorData(thrown);
      expect(errorDataSchema.parse(JSON.parse(JSON.stringify(data)))).toEqual(data);
    }
  });
});

describe("assertNever", () => {
  it("throws an internal error that shows the case", () => {
    expect(() => assertNever({ kind: "new" } as never)).toThrow('unhandled case: {"kind":"new"}');
  });
});
