/** Another process that a test talks to, line by line: a borrower, a trainer, a command. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export class Peer {
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(command: string, args: readonly string[], environment: Readonly<Record<string, string>>) {
    const started = spawn(command, args, {
      env: { ...process.env, ...environment },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#process = started;
    this.#lines = createInterface({ input: started.stdout })[Symbol.asyncIterator]();
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    return done === true ? "(ended)" : value;
  }

  async ask(command: string): Promise<string> {
    this.#process.stdin?.write(`${command}\n`);
    return this.line();
  }

  /** `by itself` when its standard input ends. @returns its exit code, where it has one. */
  async end(how: "by itself" | "interrupted" | "killed"): Promise<unknown> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return this.#process.exitCode;
    const ended = once(this.#process, "exit");
    if (how === "by itself") this.#process.stdin?.end();
    else this.#process.kill(how === "killed" ? "SIGKILL" : "SIGINT");
    return (await ended)[0];
  }
}
