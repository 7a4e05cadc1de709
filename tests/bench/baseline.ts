/** Asks the baseline program (baseline.cc), which run.mjs compiled, one question at a time. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Baseline {
  /** Milliseconds to malloc, touch every page of, and free so many bytes. */
  cycleMilliseconds(bytes: number, pages: "small" | "huge"): Promise<number>;
  /** GB/s (10^9) that all cores read from memory together. */
  readGigabytesPerSecond(bytes: number): Promise<number>;
  close(): void;
}

export function startBaseline(): Baseline {
  const child = spawn("tests/output/bench/baseline", { stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ask = async (question: string): Promise<number> => {
    child.stdin.write(`${question}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error(`the baseline program ended at: ${question}`);
    return Number(value);
  };
  return {
    cycleMilliseconds: (bytes, pages) => ask(`${pages} ${bytes}`),
    readGigabytesPerSecond: (bytes) => ask(`read ${bytes}`),
    close: () => child.stdin.end(),
  };
}
