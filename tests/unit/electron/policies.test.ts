/** The window's policies as data: which addresses are ours, which links leave, and that nothing else does. */
import { EventEmitter } from "node:events";
import { describe, expect, it } from "vitest";
import { isAppUrl } from "../../../electron/shell/app-url.ts";
import { documentationLink, setupPolicies } from "../../../electron/shell/policies.ts";

describe("the application's own address", () => {
  it.each(["app://tideline/index.html", "app://tideline/", "app://tideline/assets/a.js?x#y"])("is %s", (url) => {
    expect(isAppUrl(url)).toBe(true);
  });

  it.each([
    "",
    "app://",
    "app://evil/index.html",
    "app://tideline.evil.com/",
    "app://tideline:8080/",
    "app://user@tideline/",
    "https://tideline/",
    "file:///index.html",
    "about:blank",
    "data:text/html,app://tideline/",
    "javascript:app://tideline/",
  ])("is not %s", (url) => {
    expect(isAppUrl(url)).toBe(false);
  });
});

describe("links to documentation", () => {
  it.each([
    "https://github.com/sgl-project/sglang/issues/2583",
    "https://docs.nvidia.com/cuda/cuda-driver-api/",
    "https://huggingface.co/docs/safetensors",
  ])("may leave for the system's browser: %s", (url) => {
    expect(documentationLink(url)).toBe(url);
  });

  it.each([
    "http://docs.nvidia.com/cuda/",
    "https://docs.nvidia.com.evil.com/cuda/",
    "https://docs.nvidia.com/cudaevil",
    "https://docs.nvidia.com/cuda/../login",
    "https://github.com/sgl-project/sglang/issues/25839",
    "https://user:pass@huggingface.co/docs/",
    "https://huggingface.co/",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "not a url",
  ])("anything else stays: %s", (url) => {
    expect(documentationLink(url)).toBeUndefined();
  });
});

/** The web contents as Electron would create them, with what the policies hung on them. */
function guardedContents() {
  const app = new EventEmitter();
  const opened: string[] = [];
  const permissions: { request?: unknown; check?: unknown } = {};
  setupPolicies({
    app: app as never,
    session: {
      setPermissionRequestHandler: (handler) => {
        permissions.request = handler;
      },
      setPermissionCheckHandler: (handler) => {
        permissions.check = handler;
      },
    },
    openExternal: async (url) => {
      opened.push(url);
    },
  });
  let openHandler: ((details: { url: string }) => { action: string }) | undefined;
  const contents = Object.assign(new EventEmitter(), {
    setWindowOpenHandler: (handler: typeof openHandler) => {
      openHandler = handler;
    },
  });
  app.emit("web-contents-created", {}, contents);
  return { contents, opened, permissions, open: (url: string) => openHandler?.({ url }) };
}

function isPrevented(contents: EventEmitter, event: string, url: string): boolean {
  let prevented = false;
  contents.emit(event, {
    url,
    preventDefault: () => {
      prevented = true;
    },
  });
  return prevented;
}

describe("policies on every page", () => {
  it.each(["will-navigate", "will-frame-navigate", "will-redirect"])("%s: only within the application", (event) => {
    const { contents } = guardedContents();
    expect(isPrevented(contents, event, "https://example.com/")).toBe(true);
    expect(isPrevented(contents, event, "file:///etc/passwd")).toBe(true);
    expect(isPrevented(contents, event, "app://tideline/index.html")).toBe(false);
  });

  it("webviews are never attached", () => {
    expect(isPrevented(guardedContents().contents, "will-attach-webview", "app://tideline/")).toBe(true);
  });

  it("no window is opened; documentation goes to the system's browser", () => {
    const { open, opened } = guardedContents();
    expect(open("https://example.com/")).toEqual({ action: "deny" });
    expect(open("app://tideline/index.html")).toEqual({ action: "deny" });
    expect(opened).toEqual([]);
    expect(open("https://huggingface.co/docs/safetensors")).toEqual({ action: "deny" });
    expect(opened).toEqual(["https://huggingface.co/docs/safetensors"]);
  });

  it("every permission is denied", () => {
    const { permissions } = guardedContents();
    const answers: boolean[] = [];
    const request = permissions.request as (c: unknown, p: string, answer: (granted: boolean) => void) => void;
    for (const permission of ["media", "geolocation", "notifications", "clipboard-read", "usb"]) {
      request({}, permission, (granted) => answers.push(granted));
      expect((permissions.check as (c: unknown, p: string) => boolean)({}, permission)).toBe(false);
    }
    expect(answers).toEqual([false, false, false, false, false]);
  });
});
