/** `tideline serve`: the app through the browser door. */
import type { Command } from "commander";
import open from "open";
import { startBrowserHost } from "../hosts/browser/server.ts";
import { rendererPath, surroundings } from "../session/paths.ts";
import { Session } from "../session/session.ts";
import { interruption, wholeOption } from "./options.ts";

interface ServeOptions {
  readonly port?: number;
  readonly host: string;
  readonly checkpoint?: string;
  readonly open: boolean;
}

export function addServe(program: Command): void {
  program
    .command("serve")
    .description("serve the app to a browser, for a machine without a display")
    .option(
      "--port <n>",
      "the port to listen on (default: 7421, or a free one when that is taken)",
      wholeOption(0, 65_535),
    )
    .option("--host <address>", "the address to listen on", "127.0.0.1")
    .option("--checkpoint <dir>", "open this checkpoint instead of the last one")
    .option("--no-open", "do not open a browser window")
    .addHelpText(
      "after",
      `
The printed address holds the access token: who has it has the session.

Examples:
  tideline serve
  tideline serve --port 8000 --no-open      then, from your own machine:
  ssh -L 8000:127.0.0.1:8000 gpu-box        and open the printed address there`,
    )
    .action(serve);
}

async function serve({ port, host, checkpoint, open: opens }: ServeOptions): Promise<void> {
  const stopped = interruption();
  const session = new Session();
  try {
    const browserHost = await startBrowserHost({
      session,
      rendererFolder: rendererPath(surroundings()),
      host,
      ...(port === undefined ? {} : { port }),
    });
    process.stdout.write(`Tideline is at ${browserHost.url}\n`);
    void session.openFirst(checkpoint);
    if (opens && hasDisplay()) await openWindow(browserHost.url);
    if (!stopped.aborted) await new Promise((resolve) => stopped.addEventListener("abort", resolve, { once: true }));
    await browserHost.close();
  } finally {
    await session.close();
  }
}

/** The address was printed already, so a machine without a browser is no failure. */
async function openWindow(url: string): Promise<void> {
  const browser = await open(url);
  browser.on("error", (error) => process.stderr.write(`no browser window could be opened: ${error.message}\n`));
}

/** Whether a browser window could be seen at all. */
function hasDisplay(): boolean {
  return Boolean(process.env.DISPLAY || process.env.WAYLAND_DISPLAY);
}
