/** The task for loads of a real size: long prompts, and a rule that rewards what it says. */
import { describe, expect, it } from "vitest";
import { randomOf } from "../../../electron/ppo/random.ts";
import { taskNamed } from "../../../electron/ppo/task.ts";

it.each(["addition", "first-digit"])("no prompt of %s is longer than the longest", (name) => {
  const task = taskNamed(name);
  const random = randomOf(3);
  const lengths = Array.from({ length: 1000 }, () => task.prompt(random).length);
  expect(Math.max(...lengths)).toBe(task.longestPrompt.length);
});

describe("first-digit", () => {
  const task = taskNamed("first-digit");

  it("prompts with 256 digits, others each time", () => {
    const random = randomOf(7);
    const [one, other] = [task.prompt(random), task.prompt(random)];
    expect(one).toMatch(/^\d{256}$/);
    expect(other).not.toBe(one);
    expect(task.prompt(randomOf(7))).toBe(one);
  });

  it.each([
    ["7777", 1],
    ["7x7x", 0.5],
    ["12", 0],
    ["", 0],
  ])("earns %s %d of 1 where the passage begins with 7", (response, reward) => {
    expect(task.reward("7012", response)).toBe(reward);
  });
});
