/**
 * The part of the double that lives in the page: a sandboxed preload's `require("electron")`, and permission requests
 * turned into questions to the main process. chromium.ts turns this one function into text and adds it as an
 * initialisation script, so it runs before any script of the page and may use nothing from outside itself.
 *
 * What a page could tamper with is captured or hidden first: the preload of a real window runs in a world of its own.
 */

/** What the page asks the main process, through one Playwright binding. */
export type PageQuestion =
  | { readonly kind: "invoke" | "send"; readonly channel: string; readonly args: unknown[] }
  | { readonly kind: "permission" | "permission-check"; readonly permission: string };

export type PageAnswer =
  | { readonly failed: false; readonly value: unknown }
  | { readonly failed: true; readonly message: string };

export interface PageSideSettings {
  readonly bindingName: string;
  /** Random: the function through which messages of main arrive. */
  readonly dispatchName: string;
}

type Listener = (event: object, ...args: unknown[]) => void;
type Preload = (require: (name: string) => unknown, module: object, exports: object) => void;

export function installPageSide({ bindingName, dispatchName }: PageSideSettings, preload: Preload): void {
  // Preloads and IPC exist in the main frame only (nodeIntegrationInSubFrames is off).
  if (window !== window.top) return;

  const page = window as unknown as Record<string, unknown>;
  const ask = page[bindingName] as (question: PageQuestion) => Promise<PageAnswer>;
  delete page[bindingName];
  const clone = window.structuredClone.bind(window);
  const listeners = new Map<string, Set<Listener>>();

  const ipcRenderer = {
    async invoke(channel: string, ...args: unknown[]): Promise<unknown> {
      const answer = await ask({ kind: "invoke", channel, args: clone(args) });
      if (answer.failed) throw new Error(`Error invoking remote method '${channel}': ${answer.message}`);
      return answer.value;
    },
    send(channel: string, ...args: unknown[]): void {
      void ask({ kind: "send", channel, args: clone(args) });
    },
    on(channel: string, listener: Listener): unknown {
      listeners.set(channel, (listeners.get(channel) ?? new Set()).add(listener));
      return ipcRenderer;
    },
    removeListener(channel: string, listener: Listener): unknown {
      listeners.get(channel)?.delete(listener);
      return ipcRenderer;
    },
  };

  // Messages from main: not listed among the page's globals, and not replaceable.
  Object.defineProperty(window, dispatchName, {
    value: (channel: string, args: unknown[]) => {
      for (const listener of [...(listeners.get(channel) ?? [])]) listener({ sender: ipcRenderer }, ...clone(args));
    },
  });

  /**
   * A value as the context bridge lets it through: plain data is copied, functions are wrapped so that what they take
   * and give is bridged too, promises settle on the other side, files and nodes pass.
   */
  function bridge(value: unknown): unknown {
    if (typeof value === "function") return bridgeFunction(value as (...args: unknown[]) => unknown);
    if (typeof value === "symbol") throw new TypeError("a symbol cannot cross the context bridge");
    if (typeof value !== "object" || value === null) return value;
    if (value instanceof Promise) return value.then(bridge, (error: unknown) => Promise.reject(bridgeError(error)));
    if (value instanceof Error) return bridgeError(value);
    if (value instanceof Blob || value instanceof Node) return value;
    if (Array.isArray(value)) return value.map(bridge);
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer || value instanceof Date) return clone(value);
    // Own enumerable properties only: prototypes, and with them methods and getters of classes, stay behind.
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, bridge(entry)]));
  }

  function bridgeFunction(inner: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
    return (...args) => {
      try {
        return bridge(inner(...args.map(bridge)));
      } catch (error) {
        throw bridgeError(error);
      }
    };
  }

  /** An error keeps its message alone: fields of its own are lost on the bridge. */
  function bridgeError(error: unknown): Error {
    return new Error(error instanceof Error ? error.message : String(error));
  }

  function deepFreeze(value: unknown): unknown {
    if (typeof value === "object" && value !== null) {
      Object.values(value).forEach(deepFreeze);
      Object.freeze(value);
    }
    return value;
  }

  const contextBridge = {
    exposeInMainWorld(name: string, api: unknown): void {
      if (Object.hasOwn(window, name)) throw new Error(`Cannot bind an API on top of an existing property: ${name}`);
      Object.defineProperty(window, name, { value: deepFreeze(bridge(api)), enumerable: true });
    },
  };

  /** Chromium does not tell a page where a file lies; tests say it in the file's type: `path:/models/llama`. */
  const webUtils = { getPathForFile: (file: File): string => file.type.replace(/^path:/, "") };

  function sandboxedRequire(name: string): unknown {
    if (name !== "electron") throw new Error(`module not found: ${name} (a sandboxed preload has only electron)`);
    return { ipcRenderer, contextBridge, webUtils };
  }

  async function isGranted(kind: "permission" | "permission-check", permission: string): Promise<boolean> {
    const answer = await ask({ kind, permission });
    return !answer.failed && answer.value === true;
  }

  Notification.requestPermission = async () =>
    (await isGranted("permission", "notifications")) ? "granted" : "denied";
  navigator.geolocation.getCurrentPosition = async (_onPosition, onError) => {
    const denied = {
      code: 1,
      message: "User denied Geolocation",
      PERMISSION_DENIED: 1 as const,
      POSITION_UNAVAILABLE: 2 as const,
      TIMEOUT: 3 as const,
    };
    if (!(await isGranted("permission", "geolocation"))) onError?.(denied);
  };

  const query = navigator.permissions.query.bind(navigator.permissions);
  navigator.permissions.query = async (descriptor) => {
    const state = (await isGranted("permission-check", descriptor.name)) ? "granted" : "denied";
    return Object.defineProperty(await query(descriptor), "state", { value: state });
  };

  const exports = {};
  preload(sandboxedRequire, { exports }, exports);
}
