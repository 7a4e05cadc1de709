/**
 * One Tideline per person: two would compete for the same device memory and neither timeline would be true. A second
 * start hands its arguments to the first, which comes to the front and opens the checkpoint it was given.
 */
import { isAbsolute, resolve } from "node:path";
import type { App } from "electron";

/**
 * The checkpoint folder among the arguments of a start: the last one that is not a switch. In development the first
 * arguments are Electron's binary and the application's folder; packaged, only the binary.
 */
export function checkpointOfArguments(
  argv: readonly string[],
  workingDirectory: string,
  isPackaged: boolean,
): string | undefined {
  const own = argv.filter((argument) => argument !== "" && !argument.startsWith("-")).slice(isPackaged ? 1 : 2);
  const path = own.at(-1);
  if (path === undefined) return undefined;
  return isAbsolute(path) ? path : resolve(workingDirectory, path);
}

export interface SingleInstanceParts {
  readonly app: Pick<App, "requestSingleInstanceLock" | "on" | "quit" | "isPackaged">;
  readonly onSecondStart: (checkpoint: string | undefined) => void;
}

/** False when another Tideline already runs: it was told about this start, and this process quits. */
export function setupSingleInstance({ app, onSecondStart }: SingleInstanceParts): boolean {
  if (!app.requestSingleInstanceLock()) {
    app.quit();
    return false;
  }
  app.on("second-instance", (_event, argv, workingDirectory) =>
    onSecondStart(checkpointOfArguments(argv, workingDirectory, app.isPackaged)),
  );
  return true;
}
