/** The real product behind the browser door: `tideline serve` as built, with the real addon, in folders of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const START_LIMIT_SECONDS = 60;

export interface ServedApp {
  /** With the access token. */
  readonly url: string;
  readonly pid: number;
  /** What the process wrote so far: errors of the session end up here. */
  readonly output: () => string;
  close(): Promise<void>;
}

/** Folders that one run of the product keeps its settings and backups in, so that tests do not meet each other's. */
export function temporaryFolders(): { readonly directory: string; readonly env: NodeJS.ProcessEnv; remove(): void } {
  const directory = mkdtempSync(join(tmpdir(), "tideline-e2e-"));
  return {
    directory,
    env: { TIDELINE_CONFIG_DIR: join(directory, "config"), TIDELINE_CACHE_DIR: join(directory, "cache") },
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** Starts `tideline serve` on a free port and waits for its address. */
export async function serveApp(options: { readonly checkpoint?: string } = {}): Promise<ServedApp> {
  const folders = temporaryFolders();
  const checkpoint = options.checkpoint === undefined ? [] : ["--checkpoint", resolve(options.checkpoint)];
  const child = spawn(process.execPath, ["dist/tideline.js", "serve", "--port", "0", "--no-open", ...checkpoint], {
    env: { ...process.env, ...folders.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = collectOutput(child);
  const url = await waitFor(child, output, /http:\/\/127\.0\.0\.1:\d+\/\?token=\S+/);
  return {
    url,
    pid: child.pid ?? 0,
    output,
    async close() {
      await stop(child);
      folders.remove();
    },
  };
}

/** Everything a process writes, as text that grows. */
export function collectOutput(child: ChildProcess): () => string {
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
  }
  return () => text;
}

/** Ends a process politely and waits until it is gone. */
export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const giveUp = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await gone;
  clearTimeout(giveUp);
}

function waitFor(child: ChildProcess, output: () => string, pattern: RegExp): Promise<string> {
  return new Promise((done, fail) => {
    const timer = setTimeout(
      () => fail(new Error(`no address within ${START_LIMIT_SECONDS} s:\n${output()}`)),
      START_LIMIT_SECONDS * 1000,
    );
    const look = (): void => {
      const [found] = pattern.exec(output()) ?? [];
      if (found === undefined) return;
      clearTimeout(timer);
      done(found);
    };
    child.stdout?.on("data", look);
    child.once("exit", (code) => {
      clearTimeout(timer);
      fail(new Error(`tideline serve ended with ${code}:\n${output()}`));
    });
  });
}
