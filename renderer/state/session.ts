/** The session as this window last heard of it, and whether it can hear it now. */
import { create } from "zustand";
import type { SessionState } from "../../core/contract/state.ts";

/** `connecting`: never reached yet; `lost`: reached before, being redialled. */
export type Connection = "connecting" | "connected" | "lost";

interface SessionStore {
  readonly connection: Connection;
  /** Absent until the first answer. Kept while the connection is lost: the screen goes stale, not blank. */
  readonly session: SessionState | undefined;
}

export const useSession = create<SessionStore>(() => ({ connection: "connecting", session: undefined }));

export function setConnected(connected: boolean): void {
  useSession.setState((before) => ({
    connection: connected ? "connected" : before.connection === "connecting" ? "connecting" : "lost",
  }));
}

export function setSession(session: SessionState): void {
  useSession.setState({ session });
}
