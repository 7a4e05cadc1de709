/** What schemas refuse, in words: no word of the library that checks them. */
import { expect, it } from "vitest";
import { z } from "zod";
import { refusal } from "../../../core/input/fault.ts";
import { parseWith } from "../../../core/input/schema-fault.ts";

const schema = z.strictObject({
  name: z.string().min(1).max(3).optional(),
  code: z.string().regex(/^\w+$/).optional(),
  size: z.int().min(1).max(8).multipleOf(2).optional(),
  share: z.number().positive().optional(),
  isOn: z.boolean().optional(),
  kind: z.enum(["a", "b"]).optional(),
  either: z.union([z.number(), z.array(z.number())]).optional(),
  stop: z.union([z.number(), z.array(z.number())], { error: "must be an id or a list of them" }).optional(),
  pair: z.tuple([z.number(), z.number()]).optional(),
  phases: z
    .array(z.strictObject({ work: z.string(), after: z.array(z.strictObject({ to: z.string() })).optional() }))
    .optional(),
});

function messageOf(data: unknown): string {
  try {
    parseWith(schema, data, (fault) => refusal({ name: "mine.json", code: "bad_argument" }, fault));
  } catch (error) {
    const { data } = error as { data: { message: string; hint?: string } };
    return [data.message, data.hint].filter(Boolean).join("; ");
  }
  throw new Error("it was not refused");
}

/** As deep as no function can follow. */
const DEEP = JSON.parse("[".repeat(100_000) + "]".repeat(100_000));

it.each<readonly [data: unknown, words: string]>([
  [undefined, " is missing: must be an object"],
  [null, " is null: must be an object"],
  [[], " is []: must be an object"],
  [{ nme: "x" }, ": nme is not a field here; allowed: name, code, size, share, isOn, kind, either, stop, pair, phases"],
  [{ name: "" }, ': name is "": must be text of at least 1 character'],
  [{ name: "long" }, ': name is "long": must be text of at most 3 characters'],
  [{ name: "x".repeat(500) }, `: name is "${"x".repeat(79)}…: must be text of at most 3 characters`],
  [{ name: DEEP }, ": name is [[[[…]]]]: must be text"],
  [{ name: { a: [1, { b: "c" }] } }, ': name is {"a":[1,{"b":"c"}]}: must be text'],
  [{ code: "a b" }, ': code is "a b": must have the form /^\\w+$/'],
  [{ size: "2" }, ': size is "2": must be a number'],
  [{ size: 1.5 }, ": size is 1.5: must be a whole number"],
  [{ size: -1 }, ": size is -1: must be at least 1"],
  [{ size: 1e30 }, ": size is 1e+30: must be at most 9007199254740991"],
  [{ size: 3 }, ": size is 3: must be a multiple of 2"],
  [{ share: 0 }, ": share is 0: must be greater than 0"],
  [{ share: Number.POSITIVE_INFINITY }, ": share is Infinity: must be a finite number"],
  [{ share: Number.NaN }, ": share is NaN: must be a finite number"],
  [{ isOn: "yes" }, ': isOn is "yes": must be true or false'],
  [{ kind: "c" }, ': kind is "c"; allowed: a, b'],
  [{ either: ["x"] }, ': either[0] is "x": must be a number'],
  [{ stop: ["x"] }, ': stop is ["x"]: must be an id or a list of them'],
  [{ pair: [1] }, ": pair is [1]: must be a list of at least 2"],
  [{ phases: [{ work: "a" }, {}] }, ": phases[1].work is missing: must be text"],
  [
    { phases: [{ work: "a", after: [{ to: "x", too: 1 }] }] },
    ": phases[0].after[0].too is not a field here; allowed: to",
  ],
])("%#", (data, words) => {
  expect(messageOf(data)).toBe(`mine.json${words}`);
});
