/** React's side of a TimelineView: components see its state a few times a second, never at the pace of the drawing. */
import { useEffect, useState } from "react";
import type { TimelineView, TimelineViewState } from "./view.ts";

/** The state, at most once per `intervalMs` and always including the last change that is not `same`. */
export function useViewState(
  view: TimelineView,
  intervalMs: number,
  same: (before: TimelineViewState, after: TimelineViewState) => boolean = Object.is,
): TimelineViewState {
  const [state, setState] = useState(view.state);
  useEffect(() => {
    let timer: number | undefined;
    const show = (): void => {
      timer = undefined;
      setState((before) => (same(before, view.state) ? before : view.state));
    };
    const stop = view.subscribe(() => {
      timer ??= window.setTimeout(show, intervalMs);
    });
    show();
    return () => {
      stop();
      window.clearTimeout(timer);
    };
  }, [view, intervalMs, same]);
  return state;
}

/** A number that changes every `intervalMs` while `isOn`: for figures that follow live samples. */
export function usePulse(intervalMs: number, isOn: boolean): number {
  const [pulse, setPulse] = useState(0);
  useEffect(() => {
    if (!isOn) return;
    const timer = window.setInterval(() => setPulse((before) => before + 1), intervalMs);
    return () => window.clearInterval(timer);
  }, [intervalMs, isOn]);
  return pulse;
}

/** A box's size in CSS pixels; undefined until it is laid out. */
export function useSize(element: HTMLElement | null): { readonly width: number; readonly height: number } | undefined {
  const [size, setSize] = useState<{ readonly width: number; readonly height: number }>();
  useEffect(() => {
    if (element === null) return;
    const observer = new ResizeObserver(([entry]) => {
      if (entry === undefined) return;
      const { width, height } = entry.contentRect;
      setSize({ width: Math.floor(width), height: Math.floor(height) });
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

/** For components that show the pointer and the cursors, and not the window. */
export function isSameButWindow(before: TimelineViewState, after: TimelineViewState): boolean {
  return (
    before.hoverSeconds === after.hoverSeconds &&
    before.cursorA === after.cursorA &&
    before.cursorB === after.cursorB &&
    before.highlighted === after.highlighted &&
    before.timeLabels === after.timeLabels &&
    before.height === after.height &&
    before.isFollowing === after.isFollowing
  );
}
