/**
 * What became of one project's tests, as JSON for run.mjs. Vitest's own JSON has stacks in place of messages, of a test that
 * timed out nothing but frames, and neither hooks nor what failed outside any test.
 */
import { writeFileSync } from "node:fs";
import { relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Reporter, TestCase, TestModule, Vitest } from "vitest/node";

export interface ProjectReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** One for each test that failed, and for what failed around them: a file that does not load, a hook. */
  readonly failures: readonly { readonly where: string; readonly said: string }[];
  /** Of each skipped test, what it lacks. */
  readonly lacking: readonly string[];
  /** The longest first. */
  readonly durations: readonly { readonly test: string; readonly seconds: number }[];
}

interface Failure {
  readonly name?: string;
  readonly message: string;
  readonly stack?: string;
  readonly cause?: unknown;
}

/** Writes to the file of `--outputFile`. */
export default class ProjectReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly Failure[]): void {
    const { outputFile, root } = this.#vitest?.config ?? {};
    if (typeof outputFile !== "string") throw new Error("name the report with --outputFile");
    writeFileSync(outputFile, JSON.stringify(reportOf(modules, unhandled, root ?? ""), undefined, 1));
  }
}

function reportOf(modules: readonly TestModule[], unhandled: readonly Failure[], root: string): ProjectReport {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const inState = (state: string) => tests.filter((test) => test.result().state === state);
  const nameOf = ({ module, fullName }: TestCase) => `${relative(root, module.moduleId)}: ${fullName}`;
  const around = [
    ...modules.flatMap((module) => {
      const file = relative(root, module.moduleId);
      const suites = [...module.children.allSuites()];
      return [
        ...module.errors().map((error) => ({ where: file, said: said(error) })),
        ...suites.flatMap((suite) =>
          suite.errors().map((error) => ({ where: `${file}: ${suite.fullName}`, said: said(error) })),
        ),
      ];
    }),
    ...unhandled.map((error) => ({ where: "outside any test", said: said(error) })),
  ];
  const failed = inState("failed").map((test) => ({
    where: nameOf(test),
    said: (test.result().errors ?? []).map(said).join("\n"),
  }));
  const skipped = [...inState("skipped"), ...inState("pending")];
  return {
    passed: inState("passed").length,
    failed: failed.length + around.length,
    skipped: skipped.length,
    failures: [...failed, ...around],
    lacking: skipped.map((test) => lackOf(test) ?? relative(root, test.module.moduleId)),
    durations: tests
      .map((test) => ({ test: nameOf(test), seconds: (test.diagnostic()?.duration ?? 0) / 1000 }))
      .sort((one, other) => other.seconds - one.seconds),
  };
}

function lackOf(test: TestCase): string | undefined {
  const result = test.result();
  const note = result.state === "skipped" ? result.note : undefined;
  return test.meta().lacks ?? /\(skipped: ([^)]*)\)/.exec(test.fullName)?.[1] ?? note;
}

/** The message, where in these sources it was thrown, and what caused it. */
function said({ name = "Error", message, stack = "", cause }: Failure): string {
  const frames = stack
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !/node_modules|node:|<anonymous>/.test(line));
  const lines = [`${name}: ${stripVTControlCharacters(message)}`, ...frames];
  // The default reporter may have written this into the name already.
  if (isFailure(cause)) lines.push(`Caused by: ${said(cause).replace(/^Caused by: /, "")}`);
  return lines.join("\n");
}

function isFailure(cause: unknown): cause is Failure {
  return typeof cause === "object" && cause !== null && "message" in cause && typeof cause.message === "string";
}
