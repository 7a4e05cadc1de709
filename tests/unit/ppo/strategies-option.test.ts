/** The words of --strategies. */
import { expect, test } from "vitest";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { STRATEGY_HELP, strategiesOption } from "../../../electron/cli/run/strategies-option.ts";

test("words make a set, and none the plain loop", () => {
  expect(strategiesOption("")).toEqual(NO_STRATEGIES);
  expect(strategiesOption("release-kv-cache, swap=copy,reference=disk,int8=reference,int8=reward")).toEqual({
    ...NO_STRATEGIES,
    releaseKvCache: true,
    swap: { method: "copy" },
    reference: "disk",
    int8: { reference: true, reward: true },
  });
  expect(strategiesOption("swap=bucketed:64MiB").swap).toEqual({ method: "bucketed", bucketBytes: 64 * 2 ** 20 });
  expect(strategiesOption("swap=bucketed").swap).toEqual(NO_STRATEGIES.swap);
});

test("every word of the help is taken", () => {
  const words = STRATEGY_HELP.split("\n").map((line) => line.trim().split(/\s/)[0] ?? "");
  for (const word of words) expect(() => strategiesOption(word.replace("[:SIZE]", "")), word).not.toThrow();
});

test.each([
  ["magic", "magic is no strategy"],
  ["swap=copy,swap=share", "contradicts"],
  ["swap=bucketed:x", "x"],
  ["toString", "toString is no strategy"],
])("%s is refused", (text, message) => {
  expect(() => strategiesOption(text)).toThrow(message);
});
