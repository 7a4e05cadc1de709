/** `app://tideline/` serves the renderer's build, with its Content-Security-Policy, and nothing outside it. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APP_SCHEME_PRIVILEGES, createAppProtocolHandler } from "../../../electron/shell/protocol.ts";

let folder: string;
let serve: (request: Request) => Promise<Response>;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "tideline-protocol-"));
  const renderer = join(folder, "renderer");
  mkdirSync(join(renderer, "assets"), { recursive: true });
  writeFileSync(join(folder, "secret.txt"), "secret");
  writeFileSync(join(renderer, "index.html"), "<!doctype html><title>Tideline</title>");
  writeFileSync(join(renderer, "assets", "main.js"), "export {};");
  symlinkSync(join(folder, "secret.txt"), join(renderer, "link.txt"));
  serve = createAppProtocolHandler(renderer);
});

afterAll(() => rmSync(folder, { recursive: true }));

describe("the app protocol", () => {
  it("serves the page and its assets with their types", async () => {
    const page = await serve(new Request("app://tideline/index.html"));
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(await page.text()).toContain("Tideline");
    const script = await serve(new Request("app://tideline/assets/main.js?v=1"));
    expect(script.headers.get("content-type")).toBe("text/javascript; charset=utf-8");
    expect((await serve(new Request("app://tideline/"))).status).toBe(200);
  });

  it("allows scripts of the build alone: no inline, no eval, no other origin", async () => {
    const policy = (await serve(new Request("app://tideline/"))).headers.get("content-security-policy") ?? "";
    const directives = new Map(
      policy.split("; ").map((part) => [part.split(" ")[0], part.split(" ").slice(1).join(" ")]),
    );
    expect(directives.get("default-src")).toBe("'none'");
    expect(directives.get("script-src")).toBe("'self'");
    expect(directives.get("frame-ancestors")).toBe("'none'");
    expect(policy).not.toMatch(/unsafe-eval|https?:|\*/);
  });

  it.each([
    "app://tideline/../secret.txt",
    "app://tideline/%2e%2e/secret.txt",
    "app://tideline/..%2fsecret.txt",
    "app://tideline/assets/..%2f..%2fsecret.txt",
    "app://tideline/..%5csecret.txt",
    "app://tideline/%00",
    "app://tideline/%E0%A4%A",
    "app://tideline/link.txt",
    "app://tideline/assets",
    "app://tideline//etc/passwd",
    "app://other/index.html",
    "app://tideline/missing.js",
  ])("does not serve %s", async (url) => {
    const answer = await serve(new Request(url));
    expect(answer.status).toBe(404);
    expect(await answer.text()).not.toContain("secret");
  });

  it("answers GET alone", async () => {
    expect((await serve(new Request("app://tideline/index.html", { method: "POST" }))).status).toBe(404);
  });

  it("is a standard, secure scheme and does not get past the Content-Security-Policy", () => {
    expect(APP_SCHEME_PRIVILEGES.privileges).toEqual({ standard: true, secure: true, supportFetchAPI: true });
  });
});
