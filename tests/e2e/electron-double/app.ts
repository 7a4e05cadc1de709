/** `app`: readiness, the order of quitting, and the single-instance lock between real processes. */
import { EventEmitter } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { emitPreventable } from "./emitter.ts";
import { chromiumSettles } from "./patience.ts";

export interface AppSettings {
  readonly userData: string;
  readonly version: string;
  readonly ready: Promise<unknown>;
  /** Another process of this user data folder runs already. */
  readonly isSecondInstance: boolean;
  readonly closeWindows: () => void;
  /** Frees what the process holds outside itself. */
  readonly dispose: () => Promise<void>;
}

export class App extends EventEmitter {
  readonly isPackaged = false;
  readonly #settings: AppSettings;
  #isQuitting = false;

  constructor(settings: AppSettings) {
    super();
    this.#settings = settings;
    this.on("window-all-closed", () => {
      if (this.#isQuitting) this.#finishQuitting();
    });
  }

  getVersion(): string {
    return this.#settings.version;
  }

  getPath(name: string): string {
    return name === "userData" ? this.#settings.userData : join(this.#settings.userData, name);
  }

  async whenReady(): Promise<void> {
    await this.#settings.ready;
  }

  requestSingleInstanceLock(): boolean {
    if (this.#settings.isSecondInstance) return false;
    listenForSecondInstances(this.#settings.userData, (argv, workingDirectory) =>
      this.emit("second-instance", {}, argv, workingDirectory),
    );
    return true;
  }

  /** before-quit, the windows close, will-quit, quit; listeners may stop it at the first and the third. */
  quit(): void {
    if (!this.#isQuitting && emitPreventable(this, "before-quit")) return;
    const wasQuitting = this.#isQuitting;
    this.#isQuitting = true;
    if (wasQuitting) this.#finishQuitting();
    else this.#settings.closeWindows();
  }

  exit(code = 0): void {
    // Playwright kills a Chromium that did not close when this process ends.
    void chromiumSettles(this.#settings.dispose()).then(() => process.exit(code));
  }

  #finishQuitting(): void {
    if (emitPreventable(this, "will-quit")) return;
    this.emit("quit", {}, 0);
    this.exit(0);
  }
}

const lockSocket = (userData: string): string => join(userData, "instance.sock");

/** Tells a process that holds the lock about this start; false when there is none. Asked before anything else runs. */
export function announceToFirstInstance(userData: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(lockSocket(userData));
    socket.on("error", () => resolve(false));
    socket.on("connect", () => {
      socket.end(JSON.stringify({ argv: process.argv, workingDirectory: process.cwd() }));
      resolve(true);
    });
  });
}

function listenForSecondInstances(
  userData: string,
  onSecond: (argv: readonly string[], workingDirectory: string) => void,
): void {
  const server = createServer(async (socket) => {
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    const { argv, workingDirectory } = JSON.parse(text) as { argv: string[]; workingDirectory: string };
    onSecond(argv, workingDirectory);
  });
  // What an earlier process left behind: nobody answered there, or this one would be the second.
  rmSync(lockSocket(userData), { force: true });
  server.listen(lockSocket(userData));
  server.unref();
}
