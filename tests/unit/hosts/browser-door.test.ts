/** The browser door against strangers: a real server on loopback, and requests a browser or an attacker would make. */
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { WebSocket } from "ws";
import type { AnswerEnvelope, SessionEvent } from "../../../core/contract/messages.ts";
import { type BrowserHost, startBrowserHost } from "../../../electron/hosts/browser/server.ts";
import { eventually } from "../../eventually.ts";

let folder: string;
let host: BrowserHost;
let url: URL;
let token: string;
let listeners: Set<(event: SessionEvent) => void>;
let asked: unknown[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "tideline-door-"));
  mkdirSync(join(folder, "renderer", "assets"), { recursive: true });
  writeFileSync(join(folder, "renderer", "index.html"), "<!doctype html><title>the screen</title>");
  writeFileSync(join(folder, "renderer", "assets", "main.js"), "export {};");
  writeFileSync(join(folder, "secret.txt"), "outside the renderer");
  listeners = new Set();
  asked = [];
  const session = {
    async handle(envelope: unknown): Promise<AnswerEnvelope> {
      asked.push(envelope);
      return { id: 7, ok: true, value: "answered" };
    },
    subscribe(listener: (event: SessionEvent) => void) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
  host = await startBrowserHost({ session, rendererFolder: join(folder, "renderer"), port: 0 });
  url = new URL(host.url);
  token = url.searchParams.get("token") ?? "";
});
afterEach(() => host.close());

interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A request with exactly this path and these headers: `fetch` would clean them up. */
function get(path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = httpRequest(
      { host: "127.0.0.1", port: url.port, path, method, headers: { host: url.host, ...headers } },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (text) => {
          body += text;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }));
      },
    );
    sent.on("error", reject).end();
  });
}

/** The status with which a socket is refused, or 101. */
function openSocket(
  path: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; socket: WebSocket }> {
  const socket = new WebSocket(`ws://${url.host}${path}`, { headers });
  return new Promise((resolve, reject) => {
    socket.on("open", () => resolve({ status: 101, socket }));
    socket.on("unexpected-response", (_, response) => {
      resolve({ status: response.statusCode ?? 0, socket });
      socket.terminate();
    });
    socket.on("error", (error) => {
      if (socket.readyState !== socket.CLOSING && socket.readyState !== socket.CLOSED) reject(error);
    });
  });
}

describe("pages", () => {
  it("are served to whoever has the token, on loopback", async () => {
    expect(url.hostname).toBe("127.0.0.1");
    const page = await get(`/?token=${token}`);
    expect(page.status).toBe(200);
    expect(page.body).toContain("the screen");
  });

  it("are refused without the token or with a wrong one", async () => {
    expect((await get("/")).status).toBe(401);
    expect((await get("/?token=")).status).toBe(401);
    expect((await get(`/?token=${token.slice(1)}x`)).status).toBe(401);
    expect((await get("/assets/main.js")).status).toBe(401);
    expect((await get("/", { cookie: `tideline-${url.port}=wrong` })).status).toBe(401);
  });

  it("keep the token in a cookie that scripts and other sites do not get", async () => {
    const page = await get(`/?token=${token}`);
    const cookie = page.headers["set-cookie"]?.[0] ?? "";
    expect(cookie).toContain("HttpOnly");
    expect(cookie).toContain("SameSite=Strict");
    const value = cookie.split(";", 1)[0] ?? "";
    expect((await get("/assets/main.js", { cookie: `other=1; ${value}` })).status).toBe(200);
    expect((await get("/", { cookie: value })).status).toBe(200);
  });

  it("are refused under a name that was pointed at this machine", async () => {
    for (const name of [
      "evil.example",
      `evil.example:${url.port}`,
      "127.0.0.1.evil.example",
      "localhost.evil.example",
      "192.168.0.9",
    ]) {
      expect((await get(`/?token=${token}`, { host: name })).status, name).toBe(403);
    }
    // A tunnel has a port of its own.
    expect((await get(`/?token=${token}`, { host: "localhost:9000" })).status).toBe(200);
    expect((await get(`/?token=${token}`, { host: "[::1]:9000" })).status).toBe(200);
  });

  it("are refused to scripts of other origins", async () => {
    expect((await get(`/?token=${token}`, { origin: "https://evil.example" })).status).toBe(403);
    expect((await get(`/?token=${token}`, { origin: "null" })).status).toBe(403);
  });

  it("come with headers that let nothing else in", async () => {
    const { headers } = await get(`/?token=${token}`);
    const policy = headers["content-security-policy"] ?? "";
    for (const directive of [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]) {
      expect(policy).toContain(directive);
    }
    expect(policy).not.toMatch(/script-src[^;]*unsafe/);
    expect(headers["x-content-type-options"]).toBe("nosniff");
    expect(headers["referrer-policy"]).toBe("no-referrer");
    expect((await get("/")).headers["content-security-policy"]).toBe(policy);
  });

  it("are nothing but the renderer's own files", async () => {
    for (const path of [
      "/../secret.txt",
      "/%2e%2e/secret.txt",
      "/..%2fsecret.txt",
      "/assets/../../secret.txt",
      "/assets/%2e%2e%2f%2e%2e%2fsecret.txt",
      "//etc/passwd",
      "/..\\secret.txt",
      "/%00",
      "/%",
      "/assets",
    ]) {
      const answer = await get(`${path}?token=${token}`);
      expect(answer.body, path).not.toContain("outside the renderer");
      expect(answer.status, path).toBeGreaterThanOrEqual(400);
    }
  });

  it("are only read", async () => {
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect((await get(`/?token=${token}`, {}, method)).status).toBe(405);
    }
  });
});

describe("sockets", () => {
  it("answer requests and tell events", async () => {
    const { status, socket } = await openSocket(`/session?token=${token}`, { origin: `http://${url.host}` });
    expect(status).toBe(101);
    const messages: unknown[] = [];
    socket.on("message", (data) => messages.push(JSON.parse(data.toString())));
    socket.send(JSON.stringify({ id: 7, command: "observe", params: {} }));
    await eventually(() =>
      expect(messages).toEqual([{ kind: "answer", answer: { id: 7, ok: true, value: "answered" } }]),
    );
    expect(asked).toEqual([{ id: 7, command: "observe", params: {} }]);
    const event: SessionEvent = { event: "samples", batch: { consumers: [], rows: 0, samples: [], dropped: 0 } };
    for (const listener of listeners) listener(event);
    await eventually(() => expect(messages.at(-1)).toEqual({ kind: "event", event }));
    socket.terminate();
    await eventually(() => expect(listeners.size).toBe(0));
  });

  it("are refused without the token, under another name, to other origins, on other paths", async () => {
    const refused = async (path: string, headers?: Record<string, string>) => (await openSocket(path, headers)).status;
    expect(await refused("/session")).toBe(401);
    expect(await refused("/session?token=guess")).toBe(401);
    expect(await refused(`/session?token=${token}`, { host: "evil.example" })).toBe(403);
    expect(await refused(`/session?token=${token}`, { origin: "https://evil.example" })).toBe(403);
    expect(await refused(`/session?token=${token}`, { origin: `http://localhost:${Number(url.port) + 1}` })).toBe(403);
    expect(await refused(`/?token=${token}`)).toBe(404);
    expect(listeners.size).toBe(0);
  });

  it("pass text that is not JSON on as what it is: no request", async () => {
    const { socket } = await openSocket(`/session?token=${token}`);
    socket.send("{ not JSON");
    socket.send(Buffer.from([1, 2, 3]));
    await eventually(() => expect(asked).toEqual([undefined, undefined]));
    expect(socket.readyState).toBe(socket.OPEN);
    socket.terminate();
  });

  it("end with a message that is too large, and the server goes on", async () => {
    const { socket } = await openSocket(`/session?token=${token}`);
    const closed = new Promise<number>((resolve) => socket.on("close", resolve));
    socket.send("x".repeat(17 * 2 ** 20));
    expect(await closed).toBe(1009);
    expect((await get(`/?token=${token}`)).status).toBe(200);
  });

  it("drop samples, counted, for a window that does not read, and nothing else", async () => {
    const { socket } = await openSocket(`/session?token=${token}`);
    socket.pause();
    const samples = Array.from({ length: 100_000 }, (_, index) => index + 0.123456789);
    const tell = (event: SessionEvent) => {
      for (const listener of listeners) listener(event);
    };
    const action = (id: number): SessionEvent => ({
      event: "action",
      action: { id, timeSeconds: 0, kind: "pause", label: "pause", milliseconds: 0 },
    });
    for (let index = 0; index < 60; index++) {
      tell({ event: "samples", batch: { consumers: [], rows: 1, samples, dropped: 0 } });
      tell(action(index));
    }
    let told = 0;
    let missed = 0;
    let actions = 0;
    socket.on("message", (data) => {
      const { event } = JSON.parse(data.toString());
      if (event.event === "action") actions++;
      else {
        told += event.batch.rows;
        missed += event.batch.dropped;
      }
    });
    socket.resume();
    await eventually(() => expect(actions).toBe(60));
    tell({ event: "samples", batch: { consumers: [], rows: 1, samples: [], dropped: 0 } });
    await eventually(() => expect(told + missed).toBe(61));
    expect(missed).toBeGreaterThan(0);
    socket.terminate();
  });

  it("survive a client that hangs up in the middle of a handshake", async () => {
    const raw = connect(Number(url.port), "127.0.0.1");
    raw.write(
      `GET /session?token=${token} HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`,
    );
    raw.destroy();
    expect((await get(`/?token=${token}`)).status).toBe(200);
  });

  it("that are refused and do not hang up keep neither a connection nor the server", async () => {
    const raw = connect({ port: Number(url.port), host: "127.0.0.1", allowHalfOpen: true });
    onTestFinished(() => void raw.destroy());
    raw.on("error", () => {});
    const refused = new Promise((resolve) => raw.once("data", (data) => resolve(data.toString())));
    raw.write(`GET /session HTTP/1.1\r\nHost: ${url.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n`);
    expect(await refused).toContain("401");
    await host.close();
  });
});

it("has another token at every start", async () => {
  const session = {
    handle: async (): Promise<AnswerEnvelope> => ({ id: 0, ok: true, value: 0 }),
    subscribe: () => () => {},
  };
  const other = await startBrowserHost({ session, rendererFolder: join(folder, "renderer"), port: 0 });
  expect(new URL(other.url).searchParams.get("token")).not.toBe(token);
  expect(token.length).toBeGreaterThanOrEqual(32);
  await other.close();
});

it("says which port is taken, and what to do", async () => {
  const session = {
    handle: async (): Promise<AnswerEnvelope> => ({ id: 0, ok: true, value: 0 }),
    subscribe: () => () => {},
  };
  const again = startBrowserHost({ session, rendererFolder: join(folder, "renderer"), port: Number(url.port) });
  await expect(again).rejects.toMatchObject({ code: "bad_argument", hint: expect.stringContaining("--port") });
});

it("names the usual port where an address that is not this machine's refuses it", async () => {
  const session = {
    handle: async (): Promise<AnswerEnvelope> => ({ id: 0, ok: true, value: 0 }),
    subscribe: () => () => {},
  };
  // An address for documentation: nobody has it.
  const elsewhere = startBrowserHost({ session, rendererFolder: join(folder, "renderer"), host: "192.0.2.1" });
  await expect(elsewhere).rejects.toMatchObject({
    message: expect.stringMatching(/^cannot listen on 192.0.2.1 port \d+:/),
  });
});
