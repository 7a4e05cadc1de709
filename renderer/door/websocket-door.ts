/**
 * The browser's door to the session: one WebSocket, reopened with growing pauses when it closes. Requests that were
 * under way when it closed are answered with `session_lost` rather than left hanging, because the session may or may
 * not have done them: the state that follows the reconnection tells.
 */
import type { AnswerEnvelope, Door, RequestEnvelope } from "../../core/contract/messages.ts";

const FIRST_RETRY_MS = 250;
const LONGEST_RETRY_MS = 5000;

/** The part of WebSocket that the door uses, so that tests can bring their own. */
export interface Socket {
  onopen: (() => void) | null;
  onclose: (() => void) | null;
  onmessage: ((message: { readonly data: unknown }) => void) | null;
  send(text: string): void;
  close(): void;
}

/** Milliseconds to wait before the `attempt`th reconnection (0 is the first). */
export function retryDelayMs(attempt: number): number {
  return Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
}

/** A door over WebSocket; `open` is replaced in tests. */
export function openWebSocketDoor(
  address: string,
  open: (address: string) => Socket = (url) => new WebSocket(url) as Socket,
): Door {
  const listeners = new Set<(event: unknown) => void>();
  const connectionListeners = new Set<(connected: boolean) => void>();
  const pending = new Map<number, (answer: unknown) => void>();
  let socket: Socket | undefined;
  let connected = false;
  let attempt = 0;

  function setConnected(next: boolean): void {
    connected = next;
    for (const listener of connectionListeners) listener(next);
  }

  function dial(): void {
    const next = open(address);
    next.onopen = () => {
      socket = next;
      attempt = 0;
      setConnected(true);
    };
    next.onmessage = ({ data }) => receive(data);
    // A socket that never opened closes too, so this one handler covers both losses.
    next.onclose = () => {
      socket = undefined;
      for (const [id, answer] of pending) answer(lost(id));
      pending.clear();
      setConnected(false);
      setTimeout(dial, retryDelayMs(attempt++));
    };
  }

  function receive(data: unknown): void {
    const frame = parseFrame(data);
    if (frame === undefined) return;
    if (frame.kind === "event") {
      for (const listener of listeners) listener(frame.event);
      return;
    }
    const id = answerId(frame.answer);
    if (id === undefined) return;
    pending.get(id)?.(frame.answer);
    pending.delete(id);
  }

  dial();
  return {
    kind: "browser",
    send(request: RequestEnvelope): Promise<unknown> {
      const open = socket;
      if (open === undefined) return Promise.resolve(lost(request.id));
      return new Promise((resolve) => {
        pending.set(request.id, resolve);
        open.send(JSON.stringify(request));
      });
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onConnection(listener) {
      connectionListeners.add(listener);
      if (connected) listener(true);
      return () => connectionListeners.delete(listener);
    },
  };
}

function lost(id: number): AnswerEnvelope {
  return {
    id,
    ok: false,
    error: {
      code: "session_lost",
      message: "the connection to the Tideline session was lost",
      hint: "it reconnects by itself; if it does not, check that the tideline process is still running",
    },
  };
}

type Frame =
  | { readonly kind: "answer"; readonly answer: unknown }
  | { readonly kind: "event"; readonly event: unknown };

/** A frame from the host, or undefined for anything else: the contents are validated by the client. */
function parseFrame(data: unknown): Frame | undefined {
  if (typeof data !== "string") return undefined;
  let frame: unknown;
  try {
    frame = JSON.parse(data);
  } catch {
    return undefined;
  }
  if (typeof frame !== "object" || frame === null || !("kind" in frame)) return undefined;
  if (frame.kind === "answer" && "answer" in frame) return { kind: "answer", answer: frame.answer };
  if (frame.kind === "event" && "event" in frame) return { kind: "event", event: frame.event };
  return undefined;
}

function answerId(answer: unknown): number | undefined {
  if (typeof answer !== "object" || answer === null || !("id" in answer)) return undefined;
  return typeof answer.id === "number" ? answer.id : undefined;
}
