/** `name@version`: what is taken, and what is said about the rest. */
import { expect, it } from "vitest";
import { TidelineError } from "../../../../core/errors.ts";
import { atLeast, describeTarget, LAUNCHERS, parseTarget } from "../../../../core/planner/export/target.ts";

it.each([
  ["openrlhf@0.8", "openrlhf@0.8"],
  ["OpenRLHF@v0.11.0", "openrlhf@0.11.0"],
  [" verl@0.8.0.dev ", "verl@0.8.0.dev"],
  ["slime@0.3.1", "slime@0.3.1"],
  ["openrlhf@0.10.1.post2", "openrlhf@0.10.1.post2"],
  ["openrlhf", "openrlhf@0.11"],
])("%s is %s", (text, target) => {
  expect(describeTarget(parseTarget(text))).toBe(target);
});

it("without a version, every launcher has a newest one", () => {
  for (const launcher of LAUNCHERS) expect(parseTarget(launcher).launcher).toBe(launcher);
});

it.each([
  ["openrhlf@0.8", '"openrhlf@0.8" is no launcher', "allowed: sglang@0.5, vllm@0.9 to 0.27, openrlhf@0.8 to 0.11"],
  ["", '"" is no launcher', "allowed: "],
  ["openrlhf@0.5", "the flags of openrlhf 0.5 are not known", "known: openrlhf@0.8 to 0.11"],
  ["openrlhf@0.12", "the flags of openrlhf 0.12 are not known", "known: openrlhf@0.8 to 0.11"],
  ["openrlhf@1.9", "the flags of openrlhf 1.9 are not known", "known: openrlhf@0.8 to 0.11"],
  ["openrlhf@latest", '"latest" is no version of openrlhf', "write openrlhf@0.11"],
  ["openrlhf@0", '"0" is no version of openrlhf', "write openrlhf@0.11"],
  ["openrlhf@", '"" is no version of openrlhf', "write openrlhf@0.11"],
  ["vllm@0.9@0.10", '"vllm@0.9@0.10" is no launcher', "allowed: "],
])("%j is refused", (text, message, hint) => {
  const error = (() => {
    try {
      parseTarget(text);
    } catch (thrown) {
      if (thrown instanceof TidelineError) return thrown;
      throw thrown;
    }
    throw new Error("it was taken");
  })();
  expect(error.data).toMatchObject({ code: "bad_argument", field: "target", message });
  expect(error.hint).toContain(hint);
});

it.each([
  ["0.9", "0.9.2", true],
  ["0.9.1", "0.9.2", false],
  ["0.9.2", "0.9.2", true],
  ["0.9.2.post1", "0.9.2", true],
  ["0.10.1", "0.9.2", true],
  ["0.8.11", "0.9.2", false],
])("%s is %s or later: %s", (text, minimum, later) => {
  expect(atLeast(parseTarget(`openrlhf@${text}`).version, minimum)).toBe(later);
});

it("a snapshot is not yet the release it is of, and after the one before", () => {
  const { version } = parseTarget("verl@0.8.0.dev0");
  expect(atLeast(version, "0.8.0")).toBe(false);
  expect(atLeast(version, "0.7.1")).toBe(true);
});
