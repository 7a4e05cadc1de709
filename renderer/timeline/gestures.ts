/**
 * Mouse, touchpad and pen on a timeline, as changes of its view. Native listeners rather than React's: the wheel has to
 * be stopped from scrolling the page, and nothing here may render.
 */
import { pxToTime } from "../../core/timeline/time-scale.ts";
import type { TimelineView } from "./view.ts";

export interface Stage {
  /** The plot's left edge and width in the element, now. */
  readonly plotX: () => number;
  readonly plotWidth: () => number;
  /** The pointer moved to a place in the element, or left it. */
  readonly onPoint: (x: number | undefined, y: number) => void;
  /** A click without a drag; true when it was meant for something else than a cursor. */
  readonly onClick: (x: number, y: number) => boolean;
}

/** Movement below this is a click. */
const DRAG_PX = 4;
const WHEEL_ZOOM_PER_PX = 0.0016;
/** Pinching arrives as ctrl + wheel with small deltas. */
const PINCH_ZOOM_PER_PX = 0.01;
const LINE_PX = 16;

/** Listens on an element until the returned function is called. */
export function listenToGestures(element: HTMLElement, view: TimelineView, stage: Stage): () => void {
  const listeners = new AbortController();
  const { signal } = listeners;
  let drag: { readonly x: number; lastX: number; readonly selects: boolean; moved: boolean } | undefined;

  const place = (event: MouseEvent): { readonly x: number; readonly y: number } => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };
  const timeAt = (x: number): number => pxToTime(view.state.window, stage.plotWidth(), x - stage.plotX());

  element.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
      const isSideways = event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY);
      if (isSideways && !event.ctrlKey) {
        view.panBy(((event.deltaX || event.deltaY) * unit) / stage.plotWidth());
      } else {
        const rate = event.ctrlKey ? PINCH_ZOOM_PER_PX : WHEEL_ZOOM_PER_PX;
        view.zoom(timeAt(place(event).x), Math.exp(event.deltaY * unit * rate));
      }
    },
    { passive: false, signal },
  );

  element.addEventListener(
    "pointerdown",
    (event) => {
      if (event.button !== 0 || (event.target instanceof Element && event.target.closest("button"))) return;
      const { x } = place(event);
      drag = { x, lastX: x, selects: event.shiftKey, moved: false };
      element.setPointerCapture(event.pointerId);
    },
    { signal },
  );

  element.addEventListener(
    "pointermove",
    (event) => {
      const { x, y } = place(event);
      stage.onPoint(x, y);
      const share = (x - stage.plotX()) / stage.plotWidth();
      view.hover(share >= 0 && share <= 1 ? share : undefined);
      if (drag === undefined) return;
      if (!drag.moved && Math.abs(x - drag.x) < DRAG_PX) return;
      drag.moved = true;
      element.dataset.dragging = drag.selects ? "select" : "pan";
      if (drag.selects) view.setCursors(timeAt(drag.x), timeAt(x));
      else view.panBy((drag.lastX - x) / stage.plotWidth());
      drag.lastX = x;
    },
    { signal },
  );

  const end = (event: PointerEvent): void => {
    const ended = drag;
    drag = undefined;
    delete element.dataset.dragging;
    if (ended === undefined || ended.moved || event.type === "pointercancel") return;
    const { x, y } = place(event);
    if (stage.onClick(x, y) || x < stage.plotX()) return;
    const { cursorA } = view.state;
    if (event.shiftKey && cursorA !== undefined) view.setCursors(cursorA, timeAt(x));
    else view.setCursors(timeAt(x), undefined);
  };
  element.addEventListener("pointerup", end, { signal });
  element.addEventListener("pointercancel", end, { signal });
  element.addEventListener(
    "pointerleave",
    () => {
      view.hover(undefined);
      stage.onPoint(undefined, 0);
    },
    { signal },
  );
  return () => listeners.abort();
}
