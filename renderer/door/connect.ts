/**
 * Which door this window came through. The desktop shell puts one on `window`; without it the page was served by the
 * browser host and talks to the same session over a WebSocket. Nothing else in the renderer asks.
 */
import type { Door } from "../../core/contract/messages.ts";
import { openWebSocketDoor } from "./websocket-door.ts";

declare global {
  interface Window {
    /** Put there by the desktop shell's preload script; absent in a browser. */
    readonly tidelineDoor?: Door;
  }
}

/** The door of this window. It may not be connected yet: `onConnection` says when it is. */
export function connect(): Door {
  return window.tidelineDoor ?? openWebSocketDoor(sessionAddress(window.location));
}

/**
 * The WebSocket address of the host that served this page. The access token is on the page's address the first time
 * (the host then keeps it in a cookie that scripts cannot read); it is taken off the address bar so that it does not
 * end up in a bookmark or a screenshot.
 */
function sessionAddress(location: Location): string {
  const page = new URL(location.href);
  const token = page.searchParams.get("token");
  const session = new URL("session", page);
  session.protocol = page.protocol === "https:" ? "wss:" : "ws:";
  session.hash = "";
  session.search = token === null ? "" : `?token=${encodeURIComponent(token)}`;
  if (token !== null) {
    page.searchParams.delete("token");
    window.history.replaceState(undefined, "", page);
  }
  return session.href;
}
