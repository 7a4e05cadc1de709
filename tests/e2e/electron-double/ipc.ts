/** `ipcMain`: handlers by channel; arguments, answers and errors cross by structured clone or not at all. */
import { EventEmitter } from "node:events";
import type { PageAnswer } from "./page-side.ts";

type Handler = (event: object, ...args: unknown[]) => unknown;

export class IpcMain extends EventEmitter {
  readonly #handlers = new Map<string, Handler>();

  handle(channel: string, handler: Handler): void {
    if (this.#handlers.has(channel)) throw new Error(`Attempted to register a second handler for '${channel}'`);
    this.#handlers.set(channel, handler);
  }

  removeHandler(channel: string): void {
    this.#handlers.delete(channel);
  }

  async invoke(event: object, { channel, args }: { channel: string; args: unknown[] }): Promise<PageAnswer> {
    const handler = this.#handlers.get(channel);
    if (handler === undefined) return { failed: true, message: `No handler registered for '${channel}'` };
    try {
      return { failed: false, value: structuredClone(await handler(event, ...args)) };
    } catch (error) {
      // Electron passes on an error's text, none of its fields.
      return { failed: true, message: String(error) };
    }
  }
}
