/**
 * Where the window was when it was last closed. Stored bounds are a promise about screens that may be gone, so they
 * are used only while enough of the window would be on a screen to be grabbed with the mouse.
 */
import type { BrowserWindow, Rectangle } from "electron";
import { z } from "zod";
import { toErrorData } from "../../core/errors.ts";
import { openOwnFile } from "../session/own-file.ts";

const DEFAULT_SIZE = { width: 1440, height: 900 } as const;
export const MINIMUM_SIZE = { width: 960, height: 600 } as const;
/** This much of the window's top edge has to be on a screen, in pixels. */
const GRABBABLE = { width: 120, height: 32 } as const;

const windowStateSchema = z.object({
  bounds: z.object({ x: z.int(), y: z.int(), width: z.int().positive(), height: z.int().positive() }),
  maximized: z.boolean(),
});
export type WindowState = z.infer<typeof windowStateSchema>;

/**
 * The bounds to open with: what was stored, when it still fits a screen, else the default size in the middle of the
 * first (primary) screen, never larger than that screen.
 */
export function restoreWindowState(stored: unknown, workAreas: readonly Rectangle[]): WindowState {
  const parsed = windowStateSchema.safeParse(stored);
  if (parsed.success && workAreas.some((area) => isGrabbable(parsed.data.bounds, area))) {
    const { bounds, maximized } = parsed.data;
    const width = Math.max(bounds.width, MINIMUM_SIZE.width);
    const height = Math.max(bounds.height, MINIMUM_SIZE.height);
    return { bounds: { ...bounds, width, height }, maximized };
  }
  return { bounds: centred(workAreas[0] ?? { x: 0, y: 0, ...DEFAULT_SIZE }), maximized: false };
}

function isGrabbable(bounds: Rectangle, area: Rectangle): boolean {
  const overlap = Math.min(bounds.x + bounds.width, area.x + area.width) - Math.max(bounds.x, area.x);
  const titleInside = bounds.y >= area.y && bounds.y + GRABBABLE.height <= area.y + area.height;
  return titleInside && overlap >= GRABBABLE.width;
}

function centred(area: Rectangle): Rectangle {
  const width = Math.min(DEFAULT_SIZE.width, area.width);
  const height = Math.min(DEFAULT_SIZE.height, area.height);
  return {
    x: area.x + Math.round((area.width - width) / 2),
    y: area.y + Math.round((area.height - height) / 2),
    width,
    height,
  };
}

export interface WindowStateStore {
  load(workAreas: readonly Rectangle[]): WindowState;
  /** Stores the window's place whenever it is closed. */
  follow(window: BrowserWindow): void;
}

/** The state in `window.json` of `directory`, or of the user's own configuration folder; a damaged file counts as none. */
export function openWindowStateStore(directory?: string): WindowStateStore {
  const file = orSay(() => openOwnFile<{ state: WindowState }>("window", directory));
  return {
    load: (workAreas) =>
      restoreWindowState(
        orSay(() => file?.stored.state),
        workAreas,
      ),
    follow: (window) => {
      window.on("close", () => {
        const state = { bounds: window.getNormalBounds(), maximized: window.isMaximized() };
        orSay(() => file?.save({ state }));
      });
    },
  };
}

/** Where a window was is not worth a start that fails, or words on the screen. */
function orSay<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch (error) {
    console.error(`tideline: ${toErrorData(error).message}`);
    return undefined;
  }
}
