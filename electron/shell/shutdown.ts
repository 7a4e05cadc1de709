/**
 * Quitting in order: the windows go first, then the session gives its device memory back and finishes what it was
 * writing, and only then does the process end.
 */
import type { App } from "electron";

/** A session that cannot close must not keep the process alive for ever. */
const CLOSE_LIMIT_SECONDS = 10;

export function setupShutdown(app: Pick<App, "on" | "quit" | "exit">, close: () => Promise<void>): void {
  let state: "open" | "closing" | "closed" = "open";
  app.on("window-all-closed", () => app.quit());
  app.on("will-quit", (event) => {
    if (state === "closed") return;
    event.preventDefault();
    if (state === "closing") return;
    state = "closing";
    const timer = setTimeout(() => {
      console.error(`tideline: the session did not close within ${CLOSE_LIMIT_SECONDS} s`);
      app.exit(1);
    }, CLOSE_LIMIT_SECONDS * 1000);
    close()
      .catch((error: unknown) => console.error("tideline: closing the session failed:", error))
      .finally(() => {
        clearTimeout(timer);
        state = "closed";
        app.quit();
      });
  });
}
