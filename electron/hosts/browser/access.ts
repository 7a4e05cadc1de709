/**
 * Who may come through the browser door. Three checks, each against another attacker:
 * - the token, against other users and programs of the machine: in the page's address the first time; then a cookie
 *   keeps it, because the page takes it off the address bar, and a reload and the page's own files must still work;
 * - the Host header, against DNS rebinding: a page elsewhere whose name was pointed at this machine;
 * - the Origin header, against pages elsewhere that open a socket here with the person's cookie.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

export interface Access {
  readonly token: string;
  /** The address that the server was told to listen on. */
  readonly boundHost: string;
  readonly port: number;
}

export type Refusal = { readonly status: 401 | 403; readonly reason: string };

/** 192 random bits, safe in an address. */
export function makeToken(): string {
  return randomBytes(24).toString("base64url");
}

/** Why a request may not come in; undefined when it may. */
export function refusalOf(request: IncomingMessage, access: Access): Refusal | undefined {
  const { host, origin } = request.headers;
  if (host === undefined || !isKnownHost(host, access.boundHost)) {
    return { status: 403, reason: `the Host header "${host ?? ""}" does not name this server` };
  }
  // Absent for plain page loads and for programs that are no browser; a browser's socket always has one.
  if (origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`) {
    return { status: 403, reason: `the origin ${origin} is not this server` };
  }
  const given = tokenInAddress(request) ?? tokenInCookie(request, access.port);
  if (given === undefined || !isSame(given, access.token)) {
    return {
      status: 401,
      reason: "the access token is missing or wrong: open the whole address that Tideline printed",
    };
  }
  return undefined;
}

/** The Set-Cookie value that keeps the token. Named by port, because cookies are not: two Tidelines can run at once. */
export function tokenCookie({ token, port }: Access): string {
  return `${cookieName(port)}=${token}; Path=/; HttpOnly; SameSite=Strict`;
}

/** Whether the request brings the token in its address. */
export function tokenInAddress(request: IncomingMessage): string | undefined {
  const query = request.url?.split("?", 2)[1];
  return new URLSearchParams(query).get("token") ?? undefined;
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/**
 * Whether a Host header names this server. The port is not compared: a tunnel has its own. A server on loopback is
 * only reached by loopback names; one on an address of the network by that address and this machine's name. Addresses
 * as numbers cannot be rebound, so any is fine when the server listens on all of them.
 */
function isKnownHost(header: string, boundHost: string): boolean {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9.-]+))(?::\d{1,5})?$/i.exec(header);
  const name = (match?.[1] ?? match?.[2])?.toLowerCase();
  if (name === undefined) return false;
  if (isLoopback(name)) return true;
  if (isLoopback(boundHost)) return false;
  const listensEverywhere = boundHost === "0.0.0.0" || boundHost === "::";
  return (
    name === boundHost.toLowerCase() || name === hostname().toLowerCase() || (listensEverywhere && isIP(name) !== 0)
  );
}

function tokenInCookie(request: IncomingMessage, port: number): string | undefined {
  const wanted = `${cookieName(port)}=`;
  const cookies = request.headers.cookie?.split(";").map((cookie) => cookie.trim()) ?? [];
  return cookies.find((cookie) => cookie.startsWith(wanted))?.slice(wanted.length);
}

function cookieName(port: number): string {
  return `tideline-${port}`;
}

/** In a time that does not depend on where two tokens differ. */
function isSame(given: string, token: string): boolean {
  const a = Buffer.from(given);
  const b = Buffer.from(token);
  return a.length === b.length && timingSafeEqual(a, b);
}
