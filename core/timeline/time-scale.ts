/**
 * Time to pixels and back, and every way a window of time moves: zoom about a point, pan, fit, clamp. Values only:
 * each function returns a new window, so a gesture can be replayed, tested and undone.
 */

/** What is visible: Unix seconds. */
export interface TimeWindow {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** Five samples at 1000 Hz: below this there is nothing more to see. */
export const MIN_SPAN_SECONDS = 0.005;

export function spanSeconds(window: TimeWindow): number {
  return window.endSeconds - window.startSeconds;
}

export function timeToPx(window: TimeWindow, widthPx: number, timeSeconds: number): number {
  return ((timeSeconds - window.startSeconds) / spanSeconds(window)) * widthPx;
}

export function pxToTime(window: TimeWindow, widthPx: number, px: number): number {
  return window.startSeconds + (px / widthPx) * spanSeconds(window);
}

/** Scales the span by `factor` (below 1: closer) with `aboutSeconds` staying where it is on the screen. */
export function zoomAbout(window: TimeWindow, aboutSeconds: number, factor: number): TimeWindow {
  const span = spanSeconds(window);
  const nextSpan = Math.max(MIN_SPAN_SECONDS, span * factor);
  const share = (aboutSeconds - window.startSeconds) / span;
  const startSeconds = aboutSeconds - share * nextSpan;
  return { startSeconds, endSeconds: startSeconds + nextSpan };
}

export function pan(window: TimeWindow, bySeconds: number): TimeWindow {
  return { startSeconds: window.startSeconds + bySeconds, endSeconds: window.endSeconds + bySeconds };
}

/** The window that ends at a time with the same span: following what is live. */
export function endingAt(window: TimeWindow, endSeconds: number): TimeWindow {
  return pan(window, endSeconds - window.endSeconds);
}

/** A range with a margin of `marginShare` of its length on both sides, never shorter than the smallest span. */
export function withMargin(range: TimeWindow, marginShare = 0.02): TimeWindow {
  const margin = Math.max(MIN_SPAN_SECONDS - spanSeconds(range), 2 * marginShare * spanSeconds(range)) / 2;
  return { startSeconds: range.startSeconds - margin, endSeconds: range.endSeconds + margin };
}

/**
 * Keeps a window within reach of the data: no longer than `maxSpanSeconds`, and with at least a tenth of it over
 * `extent`, so that nobody gets lost in empty time. A window that already is comes back unchanged.
 */
export function clampTo(window: TimeWindow, extent: TimeWindow, maxSpanSeconds: number): TimeWindow {
  const span = Math.min(spanSeconds(window), Math.max(maxSpanSeconds, MIN_SPAN_SECONDS));
  const overlap = Math.min(span / 10, spanSeconds(extent));
  const lowest = extent.startSeconds + overlap - span;
  const highest = extent.endSeconds - overlap;
  const centred = window.startSeconds + (spanSeconds(window) - span) / 2;
  const startSeconds = Math.min(Math.max(centred, lowest), Math.max(lowest, highest));
  if (startSeconds === window.startSeconds && span === spanSeconds(window)) return window;
  return { startSeconds, endSeconds: startSeconds + span };
}
