/**
 * The contract between the session (main process) and any window: every command, answer and event, as zod schemas that
 * both sides check. Both doors (Electron IPC, the browser host's WebSocket) carry exactly these messages, so neither
 * the renderer nor the session knows which one is in use.
 */
import { z } from "zod";
import { errorDataSchema } from "../errors.ts";
import { stepRecordSchema } from "../run/records.ts";
import { sessionStateSchema } from "./state.ts";
import { actionRecordSchema, generationStateSchema, sampleBatchSchema } from "./timeline.ts";
import { count } from "./vocabulary.ts";

export const eventSchema = z.discriminatedUnion("event", [
  z.object({ event: z.literal("state"), state: sessionStateSchema }),
  z.object({ event: z.literal("samples"), batch: sampleBatchSchema }),
  z.object({ event: z.literal("action"), action: actionRecordSchema }),
  /** The whole generation, at most ~20 times a second while it runs. */
  z.object({ event: z.literal("generation"), generation: generationStateSchema }),
  /** A PPO step is complete, of the run with this number. */
  z.object({ event: z.literal("step"), run: count, step: stepRecordSchema }),
]);
export type SessionEvent = z.infer<typeof eventSchema>;

export const requestEnvelopeSchema = z.object({ id: count, command: z.string().max(64), params: z.unknown() }).strict();
export type RequestEnvelope = z.infer<typeof requestEnvelopeSchema>;

export const answerEnvelopeSchema = z.discriminatedUnion("ok", [
  z.object({ id: count, ok: z.literal(true), value: z.unknown() }),
  z.object({ id: count, ok: z.literal(false), error: errorDataSchema }),
]);
export type AnswerEnvelope = z.infer<typeof answerEnvelopeSchema>;

/** What a door gives the renderer as `window.tideline`: messages, and the few things only a desktop can do. */
export interface Door {
  readonly kind: "electron" | "browser";
  /** Sends one request envelope and resolves with its answer envelope. */
  send(request: RequestEnvelope): Promise<unknown>;
  /** Events until the returned function is called. */
  subscribe(listener: (event: unknown) => void): () => void;
  /** Whether the session can be reached; a door that reconnects says so here. */
  onConnection(listener: (connected: boolean) => void): () => void;
  /** The operating system's folder dialog; absent in a browser. */
  pickFolder?(): Promise<string | undefined>;
  /** The path of a dropped file or folder; absent in a browser, which does not know it. */
  pathOf?(file: File): string;
  /** Ids of renderer commands chosen in the application's menu, until the returned function is called; absent in a browser. */
  onMenuCommand?(listener: (commandId: string) => void): () => void;
}
