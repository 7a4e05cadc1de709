/**
 * The four kinds of tests. Unit tests run anywhere; native and golden ones need the built addon, each file in a process
 * of its own because they measure the process's memory; end-to-end ones need the builds and a Chromium, two at a time: most
 * of what they do is to wait for a window.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

const SECOND = 1000;

/** Left to itself, vitest takes one core less: of two, half of the machine. */
const allCores = availableParallelism();
/** A card's memory is everybody's: files that measure it run one after the other. On the host each process has its own. */
const deviceWorkers = (process.env.TIDELINE_DEVICE ?? "host") === "host" ? allCores : 1;

/** What takes longest, as it is known where nothing ran before: begun last, one would end alone while a core is idle. */
const LONGEST = [
  "native/mutation/mutation",
  "native/compute/cuda",
  "native/memory/cuda-faults",
  "native/compute/passes",
  "native/compute/cublas",
  "native/ppo/learning",
  "e2e/run-screen",
  "e2e/timeline",
  "e2e/plan",
  "e2e/ppo-run",
  "e2e/screenshots",
  "e2e/desktop-shell",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return index < 0 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((one, other) => rank(one) - rank(other));
  }
}

// What tests and what they start leave in the temporary folder lies in one that goes with the run.
const temporary = mkdtempSync(join(tmpdir(), "tideline-tests-"));
process.env.TMPDIR = temporary;
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }));

/** The same random cases in every run. */
const setupFiles = ["tests/seed.ts"];

/** A report's style is part of its text; what other components import is not looked at. */
const css = { include: [/report\.css/] };

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: "unit",
          include: ["tests/unit/**/*.test.{ts,tsx}"],
          setupFiles,
          maxWorkers: allCores,
          testTimeout: 90 * SECOND,
          css,
        },
      },
      {
        test: {
          name: "native",
          include: ["tests/native/**/*.test.ts"],
          setupFiles,
          pool: "forks",
          maxWorkers: deviceWorkers,
          testTimeout: 180 * SECOND,
          hookTimeout: 180 * SECOND,
        },
      },
      {
        test: {
          name: "golden",
          include: ["tests/golden/**/*.test.ts"],
          setupFiles,
          pool: "forks",
          maxWorkers: deviceWorkers,
          testTimeout: 180 * SECOND,
          hookTimeout: 180 * SECOND,
        },
      },
      {
        test: {
          name: "e2e",
          include: ["tests/e2e/**/*.test.ts"],
          pool: "forks",
          maxWorkers: Math.min(2, allCores),
          css,
          testTimeout: 180 * SECOND,
          hookTimeout: 180 * SECOND,
          globalSetup: ["tests/e2e/support/setup.ts"],
          expect: { poll: { timeout: 60 * SECOND, interval: 100 } },
        },
      },
    ],
  },
});
