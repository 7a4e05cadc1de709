/** Events as Electron's main process gives them: some can be prevented by a listener. */
import type { EventEmitter } from "node:events";

export class ElectronEvent {
  defaultPrevented = false;

  preventDefault(): void {
    this.defaultPrevented = true;
  }
}

/** Emits an event with extra fields on the event object; true when a listener prevented the default. */
export function emitPreventable(
  emitter: EventEmitter,
  name: string,
  fields: Readonly<Record<string, unknown>> = {},
  ...args: readonly unknown[]
): boolean {
  const event = Object.assign(new ElectronEvent(), fields);
  emitter.emit(name, event, ...args);
  return event.defaultPrevented;
}
