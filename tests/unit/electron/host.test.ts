/** The Electron door's main side: who is let in, and what passes. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CHANNELS } from "../../../electron/hosts/electron/channels.ts";
import { isTrustedSender, serveElectronDoor } from "../../../electron/hosts/electron/host.ts";

const OURS = { senderFrame: { url: "app://tideline/index.html", parent: null } };
const STRANGERS = [
  { senderFrame: null },
  { senderFrame: { url: "https://example.com/", parent: null } },
  { senderFrame: { url: "about:blank", parent: null } },
  // A frame inside our own page, even of our own address.
  { senderFrame: { url: "app://tideline/index.html", parent: OURS.senderFrame } },
];

/** The door with a session that answers what it was asked, as Electron would call it. */
function servedDoor() {
  const handlers = new Map<string, (event: unknown, payload: unknown) => unknown>();
  const sent: { channel: string; payload: unknown }[] = [];
  let tell: ((event: never) => void) | undefined;
  const stop = serveElectronDoor({
    ipc: {
      handle: (channel, handler) => {
        handlers.set(channel, handler as never);
      },
      removeHandler: (channel) => {
        handlers.delete(channel);
      },
    },
    session: {
      handle: async (envelope) => ({ id: 1, ok: true, value: envelope }),
      subscribe: (listener) => {
        tell = listener;
        return () => {
          tell = undefined;
        };
      },
    },
    window: () =>
      ({ webContents: { send: (channel: string, payload: unknown) => sent.push({ channel, payload }) } }) as never,
    pickFolder: async () => "/models/llama",
  });
  return { handlers, sent, stop, tell: (event: unknown) => tell?.(event as never) };
}

describe("the Electron door", () => {
  it("trusts the main frame of its own page alone", () => {
    expect(isTrustedSender(OURS as never)).toBe(true);
    for (const stranger of STRANGERS) expect(isTrustedSender(stranger as never)).toBe(false);
  });

  it("refuses strangers on every channel it answers", () => {
    const { handlers } = servedDoor();
    expect([...handlers.keys()].sort()).toEqual([CHANNELS.pickFolder, CHANNELS.request].sort());
    for (const handler of handlers.values()) {
      for (const stranger of STRANGERS) expect(() => handler(stranger, {})).toThrow(/refused/);
    }
  });

  it("passes envelopes to the session as they came, and events to the window", async () => {
    const { handlers, sent, tell, stop } = servedDoor();
    await expect(handlers.get(CHANNELS.request)?.(OURS, "anything")).resolves.toEqual({
      id: 1,
      ok: true,
      value: "anything",
    });
    await expect(handlers.get(CHANNELS.pickFolder)?.(OURS, undefined)).resolves.toBe("/models/llama");
    tell({ event: "state" });
    expect(sent).toEqual([{ channel: CHANNELS.event, payload: { event: "state" } }]);
    stop();
    tell({ event: "state" });
    expect(sent).toHaveLength(1);
    expect(handlers.size).toBe(0);
  });

  it("names its channels in one file", () => {
    const sources = readdirSync("electron", { recursive: true, encoding: "utf8" }).filter((name) =>
      name.endsWith(".ts"),
    );
    const naming = sources.filter((name) =>
      Object.values(CHANNELS).some((channel) => readFileSync(join("electron", name), "utf8").includes(`"${channel}"`)),
    );
    expect(naming).toEqual([join("hosts", "electron", "channels.ts")]);
  });
});
