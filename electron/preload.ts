/**
 * The Electron door, window side: gives the renderer `window.tidelineDoor`, exactly the `Door` of core/contract.
 * Nothing of Electron passes the bridge: no event objects, no ipcRenderer, no channel names. Runs sandboxed, so it is
 * built to one CommonJS file and may require nothing but `electron`.
 */
import { contextBridge, ipcRenderer, webUtils } from "electron";
import type { Door } from "../core/contract/messages.ts";
import { CHANNELS } from "./hosts/electron/channels.ts";

/** Calls `listener` with the payload of each message on a channel until the returned function is called. */
function listen(channel: string, listener: (payload: unknown) => void): () => void {
  const strip = (_event: unknown, payload: unknown): void => listener(payload);
  ipcRenderer.on(channel, strip);
  return () => {
    ipcRenderer.removeListener(channel, strip);
  };
}

const door: Door = {
  kind: "electron",
  send: (request) => ipcRenderer.invoke(CHANNELS.request, request),
  subscribe: (listener) => listen(CHANNELS.event, listener),
  // The session lives in the process that made this window: it is there for as long as the window is.
  onConnection: (listener) => {
    listener(true);
    return () => undefined;
  },
  onMenuCommand: (listener) => listen(CHANNELS.menu, (id) => listener(String(id))),
  pickFolder: () => ipcRenderer.invoke(CHANNELS.pickFolder),
  pathOf: (file) => webUtils.getPathForFile(file),
};

contextBridge.exposeInMainWorld("tidelineDoor", door);
