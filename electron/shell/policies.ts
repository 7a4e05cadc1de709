/**
 * What a page inside the window may not do: leave `app://tideline/`, open windows, attach webviews, or get any browser
 * permission. The decisions are pure functions over text so that tests can try every case; `setupPolicies` hangs them
 * on Electron's events.
 */
import type { App, Session, WebContents } from "electron";
import { isAppUrl } from "./app-url.ts";

/** Documentation that the interface links to. Anything else never leaves the application. */
const DOCUMENTATION: readonly { readonly host: string; readonly path: string }[] = [
  { host: "github.com", path: "/sgl-project/sglang/issues/2583" },
  { host: "docs.nvidia.com", path: "/cuda/" },
  { host: "huggingface.co", path: "/docs/" },
  { host: "www.electronjs.org", path: "/docs/" },
];

/** The link to hand to the system's browser, or undefined when it is not documentation. */
export function documentationLink(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  if (url.protocol !== "https:" || url.username !== "" || url.password !== "") return undefined;
  const known = DOCUMENTATION.some(({ host, path }) => url.host === host && isUnder(url.pathname, path));
  return known ? url.href : undefined;
}

function isUnder(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith("/") ? prefix : `${prefix}/`);
}

export function isNavigationAllowed(text: string): boolean {
  return isAppUrl(text);
}

export interface PolicyParts {
  readonly app: Pick<App, "on">;
  readonly session: Pick<Session, "setPermissionRequestHandler" | "setPermissionCheckHandler">;
  readonly openExternal: (url: string) => Promise<void>;
}

/** Applies the policies to every page the application ever creates, not just to its window. */
export function setupPolicies({ app, session, openExternal }: PolicyParts): void {
  session.setPermissionRequestHandler((_contents, _permission, answer) => answer(false));
  session.setPermissionCheckHandler(() => false);
  app.on("web-contents-created", (_event, contents) => guardContents(contents, openExternal));
}

function guardContents(contents: WebContents, openExternal: PolicyParts["openExternal"]): void {
  contents.on("will-attach-webview", (event) => event.preventDefault());
  contents.on("will-navigate", (event) => {
    if (!isNavigationAllowed(event.url)) event.preventDefault();
  });
  contents.on("will-frame-navigate", (event) => {
    if (!isNavigationAllowed(event.url)) event.preventDefault();
  });
  contents.on("will-redirect", (event) => {
    if (!isNavigationAllowed(event.url)) event.preventDefault();
  });
  contents.setWindowOpenHandler(({ url }) => {
    const link = documentationLink(url);
    if (link !== undefined) {
      openExternal(link).catch((error: unknown) => console.error(`tideline: cannot open ${link}:`, error));
    }
    return { action: "deny" };
  });
}
