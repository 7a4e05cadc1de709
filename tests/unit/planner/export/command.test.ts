/** Commands as text for a POSIX shell. */
import { execFileSync } from "node:child_process";
import { expect, it } from "vitest";
import { argument, type Command, commandText } from "../../../../core/planner/export/command.ts";

const COMMAND: Command = {
  starts: "engine",
  environment: [argument("MODE", "1")],
  program: "serve",
  syntax: "flags",
  arguments: [argument("--model", "a/b"), argument("--eager"), argument("--size", 2)],
};

it("has one argument per line", () => {
  expect(commandText(COMMAND)).toBe("MODE=1 serve \\\n  --model a/b \\\n  --eager \\\n  --size 2");
});

it("is name=value for launchers that take overrides", () => {
  const overrides: Command = { ...COMMAND, environment: [], syntax: "overrides" };
  expect(commandText({ ...overrides, arguments: [argument("trainer.nnodes", 1)] })).toBe(
    "serve \\\n  trainer.nnodes=1",
  );
});

it.each(["my model", "it's", "$(touch x)", "a;b", '"', "`id`", "a\nb", "*", "größe", ""])(
  "a shell hands %j on as it is",
  (name) => {
    const arguments_ = [argument("%s|"), argument("--model", name), argument(name)];
    const text = commandText({ ...COMMAND, environment: [], program: "printf", arguments: arguments_ });
    expect(execFileSync("sh", ["-c", text], { encoding: "utf8" })).toBe(`--model|${name}|${name}|`);
  },
);
