/**
 * One window's socket: requests in, answers and events out, as JSON text. A window that reads slower than samples come
 * (a laptop behind a tunnel) misses samples, counted, and intermediate generation updates, and nothing else; one that
 * does not read at all is let go.
 */
import type { RawData, WebSocket } from "ws";
import type { AnswerEnvelope, SessionEvent } from "../../../core/contract/messages.ts";

/** From here on what can be missed is not sent. */
const CROWDED_BYTES = 2 * 2 ** 20;
/** From here on the window is taken for gone. */
const STUCK_BYTES = 128 * 2 ** 20;

/** What a door needs of the session (session/session.ts). */
export interface ServedSession {
  handle(envelope: unknown): Promise<AnswerEnvelope>;
  subscribe(listener: (event: SessionEvent) => void): () => void;
}

/** Serves one socket until it closes. */
export function serveConnection(socket: WebSocket, session: ServedSession): void {
  let missedSamples = 0;

  const send = (message: object) => {
    if (socket.readyState !== socket.OPEN) return;
    if (socket.bufferedAmount > STUCK_BYTES) socket.terminate();
    else socket.send(JSON.stringify(message));
  };

  const tell = (event: SessionEvent) => {
    const crowded = socket.bufferedAmount > CROWDED_BYTES;
    if (event.event === "samples") {
      if (crowded) {
        missedSamples += event.batch.rows + event.batch.dropped;
        return;
      }
      const batch = { ...event.batch, dropped: event.batch.dropped + missedSamples };
      missedSamples = 0;
      send({ kind: "event", event: { ...event, batch } });
    } else if (!crowded || event.event !== "generation" || event.generation.finishedSeconds !== undefined) {
      send({ kind: "event", event });
    }
  };

  const unsubscribe = session.subscribe(tell);
  socket.on("message", async (data) => send({ kind: "answer", answer: await session.handle(parse(data)) }));
  socket.on("close", unsubscribe);
  // A broken or oversized frame closes the socket by itself; without a listener it would end the process.
  socket.on("error", () => {});
}

/** The message as a value; text that is not JSON is no request, and the session answers it as such. */
function parse(data: RawData): unknown {
  try {
    return JSON.parse(data.toString());
  } catch {
    return undefined;
  }
}
