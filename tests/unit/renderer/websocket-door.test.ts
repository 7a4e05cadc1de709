import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openWebSocketDoor, retryDelayMs, type Socket } from "../../../renderer/door/websocket-door.ts";

class TestSocket implements Socket {
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onmessage: ((message: { readonly data: unknown }) => void) | null = null;
  readonly sent: string[] = [];
  send(text: string) {
    this.sent.push(text);
  }
  close() {
    this.onclose?.();
  }
}

describe("the WebSocket door", () => {
  let sockets: TestSocket[];
  const open = () => {
    const socket = new TestSocket();
    sockets.push(socket);
    return socket;
  };
  const newest = () => sockets.at(-1) ?? new TestSocket();

  beforeEach(() => {
    sockets = [];
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it("matches answers to requests by id, whatever their order", async () => {
    const door = openWebSocketDoor("ws://x", open);
    newest().onopen?.();
    const first = door.send({ id: 1, command: "observe", params: {} });
    const second = door.send({ id: 2, command: "trim", params: {} });
    const frame = (answer: object) => newest().onmessage?.({ data: JSON.stringify({ kind: "answer", answer }) });
    frame({ id: 2, ok: true, value: "two" });
    frame({ id: 1, ok: true, value: "one" });
    await expect(first).resolves.toMatchObject({ value: "one" });
    await expect(second).resolves.toMatchObject({ value: "two" });
  });

  it("answers what was under way with session_lost when the socket closes, and says so", async () => {
    const door = openWebSocketDoor("ws://x", open);
    const states: boolean[] = [];
    door.onConnection((connected) => states.push(connected));
    newest().onopen?.();
    const pending = door.send({ id: 7, command: "resume", params: {} });
    newest().close();
    await expect(pending).resolves.toMatchObject({ id: 7, ok: false, error: { code: "session_lost" } });
    await expect(door.send({ id: 8, command: "trim", params: {} })).resolves.toMatchObject({
      error: { code: "session_lost" },
    });
    expect(states).toEqual([true, false]);
  });

  it("dials again with growing pauses, and from the start after it was connected", () => {
    openWebSocketDoor("ws://x", open);
    newest().close();
    vi.advanceTimersByTime(retryDelayMs(0));
    expect(sockets).toHaveLength(2);
    newest().close();
    vi.advanceTimersByTime(retryDelayMs(0));
    expect(sockets).toHaveLength(2);
    vi.advanceTimersByTime(retryDelayMs(1) - retryDelayMs(0));
    expect(sockets).toHaveLength(3);
    newest().onopen?.();
    newest().close();
    vi.advanceTimersByTime(retryDelayMs(0));
    expect(sockets).toHaveLength(4);
    expect(retryDelayMs(50)).toBeLessThanOrEqual(5000);
  });

  it("hands events to every listener and ignores frames that are none", () => {
    const door = openWebSocketDoor("ws://x", open);
    const events: unknown[] = [];
    const stop = door.subscribe((event) => events.push(event));
    newest().onopen?.();
    const receive = (data: unknown) => newest().onmessage?.({ data });
    receive(JSON.stringify({ kind: "event", event: { event: "state" } }));
    receive("not JSON");
    receive(JSON.stringify(17));
    receive(JSON.stringify({ kind: "other" }));
    receive(new ArrayBuffer(4));
    stop();
    receive(JSON.stringify({ kind: "event", event: { event: "late" } }));
    expect(events).toEqual([{ event: "state" }]);
  });
});
