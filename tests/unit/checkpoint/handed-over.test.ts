/** What a trainer wrote about its weights is taken whole, or refused with the file, the field and what has to be there. */
import { describe, expect, it } from "vitest";
import { parseHandedOver } from "../../../core/checkpoint/handed-over.ts";

const FILE = "/run/weights.json";
const TENSOR = { name: "model.norm.weight", dtype: "BF16", shape: [192], allocation: 0, offset: 512, bytes: 384 };
const WEIGHTS = { device: { uuid: "GPU-0001" }, allocations: ["0f".repeat(64)], tensors: [TENSOR] };

it("takes what the example writes, and nothing that it does not know", () => {
  expect(parseHandedOver(JSON.stringify({ ...WEIGHTS, step: 7 }), FILE)).toEqual(WEIGHTS);
});

describe("refuses, naming file and field:", () => {
  it.each([
    ["no JSON", "{", undefined, /\/run\/weights\.json is not JSON/],
    ["a list", [], undefined, /\/run\/weights\.json is \[\]: must be an object/],
    ["no device", { ...WEIGHTS, device: undefined }, "device", /device is missing/],
    ["no tensors", { ...WEIGHTS, tensors: [] }, "tensors", /tensors is \[\]/],
    ["a handle cut short", { ...WEIGHTS, allocations: ["0f"] }, "allocations[0]", /must be 64 bytes as hex digits/],
    ["a negative offset", { ...WEIGHTS, tensors: [{ ...TENSOR, offset: -1 }] }, "tensors[0].offset", /is -1/],
    ["half a byte", { ...WEIGHTS, tensors: [TENSOR, { ...TENSOR, bytes: 0.5 }] }, "tensors[1].bytes", /is 0\.5/],
    ["a shape of words", { ...WEIGHTS, tensors: [{ ...TENSOR, shape: ["192"] }] }, "tensors[0].shape[0]", /is "192"/],
  ])("%s", (_, data, field, message) => {
    const text = typeof data === "string" ? data : JSON.stringify(data);
    expect(() => parseHandedOver(text, FILE)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(message),
        data: expect.objectContaining({ code: "bad_argument", file: FILE, ...(field !== undefined && { field }) }),
      }),
    );
  });
});
