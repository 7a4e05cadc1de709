/**
 * The Electron door, main process side: hands messages of the window to the session and the session's events to the
 * window. What a message says is the session's to check; who sent it is checked here, for every channel, in one place.
 */
import type { BrowserWindow, IpcMain, IpcMainInvokeEvent } from "electron";
import type { Session } from "../../session/session.ts";
import { isAppUrl } from "../../shell/app-url.ts";
import { CHANNELS } from "./channels.ts";

export interface ElectronHostParts {
  readonly ipc: Pick<IpcMain, "handle" | "removeHandler">;
  readonly session: Pick<Session, "handle" | "subscribe">;
  readonly window: () => BrowserWindow | undefined;
  /** Shows the system's folder dialog over the window. */
  readonly pickFolder: () => Promise<string | undefined>;
}

/** Only the main frame of a page of Tideline itself may talk to the session. */
export function isTrustedSender(event: Pick<IpcMainInvokeEvent, "senderFrame">): boolean {
  const frame = event.senderFrame;
  return frame !== null && frame.parent === null && isAppUrl(frame.url);
}

/** Serves until the returned function is called. */
export function serveElectronDoor({ ipc, session, window, pickFolder }: ElectronHostParts): () => void {
  const answer = (channel: string, handler: (payload: unknown) => Promise<unknown>): void => {
    ipc.handle(channel, (event, payload: unknown) => {
      if (!isTrustedSender(event))
        throw new Error(`refused: ${channel} from ${event.senderFrame?.url ?? "a closed frame"}`);
      return handler(payload);
    });
  };
  answer(CHANNELS.request, (envelope) => session.handle(envelope));
  answer(CHANNELS.pickFolder, () => pickFolder());
  const unsubscribe = session.subscribe((event) => window()?.webContents.send(CHANNELS.event, event));
  return () => {
    unsubscribe();
    ipc.removeHandler(CHANNELS.request);
    ipc.removeHandler(CHANNELS.pickFolder);
  };
}
