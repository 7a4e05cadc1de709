/** Quitting waits for the session, once, and then really ends. */
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { setupShutdown } from "../../../electron/shell/shutdown.ts";

/** An app that quits as Electron's does: will-quit may be prevented, else the process ends. */
class FakeApp extends EventEmitter {
  readonly #ended = deferred();
  quits = 0;
  readonly ended = this.#ended.promise;

  quit(): void {
    this.quits += 1;
    let prevented = false;
    this.emit("will-quit", {
      preventDefault: () => {
        prevented = true;
      },
    });
    if (!prevented) this.#ended.resolve(undefined);
  }

  exit(): void {
    this.#ended.resolve(undefined);
  }
}

function deferred() {
  let resolve: (value: unknown) => void = () => undefined;
  const promise = new Promise((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

describe("shutdown", () => {
  it("closes the session before the process ends, however often quitting is asked for", async () => {
    const app = new FakeApp();
    const order: string[] = [];
    setupShutdown(app as never, async () => {
      order.push("closing");
      await new Promise((resolve) => setImmediate(resolve));
      order.push("closed");
    });
    app.quit();
    app.quit();
    await app.ended;
    expect(order).toEqual(["closing", "closed"]);
  });

  it("ends even when the session cannot close", async () => {
    const app = new FakeApp();
    setupShutdown(app as never, () => Promise.reject(new Error("device lost")));
    app.quit();
    await expect(app.ended).resolves.toBeUndefined();
  });

  it("quits with the last window", () => {
    const app = new FakeApp();
    setupShutdown(app as never, async () => undefined);
    app.emit("window-all-closed");
    expect(app.quits).toBe(1);
  });
});
