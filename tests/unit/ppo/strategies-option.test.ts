/** The words of --strategies. */
import { expect, test } from "vitest";
import { allStrategies } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { STRATEGY_HELP, strategiesOption } from "../../../electron/cli/run/strategies-option.ts";

const ROLES: Roles = { engine: "bf16", policy: "bf16", critic: "bf16", reference: "bf16", reward: "rule" };
const chosen = (text: string, roles: Roles = ROLES) => strategiesOption(text)(roles);

test("words make a set, and none is the plain loop", () => {
  expect(chosen("none")).toEqual(NO_STRATEGIES);
  expect(chosen("release-kv-cache, swap=copy,reference=disk,int8=reference,int8=reward")).toEqual({
    ...NO_STRATEGIES,
    releaseKvCache: true,
    swap: { method: "copy" },
    reference: "disk",
    int8: { reference: true, reward: true },
  });
  expect(chosen("optimizer=stream")).toEqual({ ...NO_STRATEGIES, optimizerOnHost: true, optimizerStreamed: true });
  expect(chosen("swap=bucketed:64MiB").swap).toEqual({ method: "bucketed", bucketBytes: 64 * 2 ** 20 });
  expect(chosen("swap=bucketed").swap).toEqual(NO_STRATEGIES.swap);
});

test("all is what it is on screen, whatever the roles, and other words change parts of it", () => {
  const others: readonly Roles[] = [ROLES, { ...ROLES, reward: "bf16" }, { ...ROLES, policy: "fp32" }];
  for (const roles of others) expect(chosen("all", roles)).toEqual(allStrategies(roles));
  const all = allStrategies(ROLES);
  expect(chosen("reference=disk,all")).toEqual({ ...all, reference: "disk" });
  expect(chosen("all,int8=reference")).toEqual({ ...all, int8: { reference: true, reward: false } });
});

test("every word of the help is taken", () => {
  const words = STRATEGY_HELP.split("\n").map((line) => line.trim().split(/\s/)[0] ?? "");
  for (const word of words) expect(() => chosen(word.replace("[:SIZE]", "")), word).not.toThrow();
});

test.each([
  ["", "names no strategy"],
  [" , ", "names no strategy"],
  ["none,swap=copy", "stands alone"],
  ["magic", "magic is no strategy"],
  ["swap=copy,swap=share", "contradicts"],
  ["swap=bucketed:x", "x"],
  ["swap=bucketed:0", "more than 0 bytes"],
  ["toString", "toString is no strategy"],
])("%s is refused", (text, message) => {
  expect(() => strategiesOption(text)).toThrow(message);
});
