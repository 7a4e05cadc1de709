/**
 * The browser door: serves the built renderer and one WebSocket per window, on loopback unless told otherwise. For a
 * machine without a display, and where Electron's binary cannot be had.
 */
import { existsSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import sirv from "sirv";
import { WebSocketServer } from "ws";
import { TidelineError } from "../../../core/errors.ts";
import { isErrno } from "../../session/files.ts";
import { CONTENT_SECURITY_POLICY } from "../content-security-policy.ts";
import { type Access, makeToken, refusalOf, tokenCookie, tokenInAddress } from "./access.ts";
import { type ServedSession, serveConnection } from "./connection.ts";

const SOCKET_PATH = "/session";
/** A prompt of a million token ids fits. */
const MAX_MESSAGE_BYTES = 16 * 2 ** 20;
const USUAL_PORT = 7421;

const HEADERS: Readonly<Record<string, string>> = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
};

export interface BrowserHostOptions {
  readonly session: ServedSession;
  /** The folder of the built renderer; nothing outside it is served. */
  readonly rendererFolder: string;
  /** Loopback by default. */
  readonly host?: string;
  /** Absent: the usual port, or a free one when that is taken. 0: a free one. */
  readonly port?: number;
}

export interface BrowserHost {
  /** With the token: whoever has it has the session. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Starts listening.
 * @throws TidelineError `bad_argument` when the port or address cannot be had, `unsupported` when the renderer was not
 * built.
 */
export async function startBrowserHost({
  session,
  rendererFolder,
  host = "127.0.0.1",
  port,
}: BrowserHostOptions): Promise<BrowserHost> {
  if (!existsSync(join(rendererFolder, "index.html"))) {
    throw new TidelineError({
      code: "unsupported",
      message: `the screen is not built: there is no ${join(rendererFolder, "index.html")}`,
      hint: "Run `npm run build` in Tideline's folder.",
      file: rendererFolder,
    });
  }
  // Reads the folder's list of files now: what is not on it is not found, whatever the path says.
  const files = sirv(rendererFolder, {
    etag: true,
    setHeaders: (response) => response.setHeader("Cache-Control", "no-cache"),
  });
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  const server = createServer();
  const bound = await listen(server, host, port);
  const access: Access = { token: makeToken(), boundHost: host, port: bound.port };

  server.on("request", (request, response) => servePage(request, response, access, files));
  server.on("upgrade", (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    // A client that is gone before it is answered is no error of ours.
    stream.on("error", () => {});
    const refusal = pathOf(request) === SOCKET_PATH ? refusalOf(request, access) : { status: 404, reason: "not found" };
    if (refusal) {
      // A client that does not hang up would keep the connection for good, and `close` waiting for it.
      stream.once("finish", () => stream.destroy());
      stream.end(`HTTP/1.1 ${refusal.status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => serveConnection(socket, session));
  });

  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}/?token=${access.token}`,
    async close() {
      for (const socket of sockets.clients) socket.terminate();
      sockets.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function servePage(
  request: IncomingMessage,
  response: ServerResponse,
  access: Access,
  files: ReturnType<typeof sirv>,
): void {
  for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
  const refusal =
    request.method === "GET" || request.method === "HEAD"
      ? refusalOf(request, access)
      : { status: 405, reason: "only GET and HEAD are answered" };
  if (refusal) {
    say(response, refusal.status, refusal.reason);
    return;
  }
  if (tokenInAddress(request) !== undefined) response.setHeader("Set-Cookie", tokenCookie(access));
  files(request, response, () => say(response, 404, "not found"));
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "Content-Type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}

function pathOf(request: IncomingMessage): string | undefined {
  return request.url?.split("?", 1)[0];
}

async function listen(
  server: ReturnType<typeof createServer>,
  host: string,
  port: number | undefined,
): Promise<AddressInfo> {
  const attempt = (wanted: number) =>
    new Promise<AddressInfo>((resolve, reject) => {
      server.once("error", reject);
      server.listen(wanted, host, () => {
        server.off("error", reject);
        resolve(server.address() as AddressInfo);
      });
    });
  try {
    return await attempt(port ?? USUAL_PORT);
  } catch (error) {
    if (port === undefined && isErrno(error) && error.code === "EADDRINUSE") return attempt(0);
    throw new TidelineError(
      {
        code: "bad_argument",
        message: `cannot listen on ${host} port ${port ?? USUAL_PORT}: ${error instanceof Error ? error.message : String(error)}`,
        hint: "Give another --port, or leave it out for a free one; --host must be an address of this machine.",
      },
      { cause: error },
    );
  }
}
