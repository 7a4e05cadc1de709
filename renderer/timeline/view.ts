/**
 * What a timeline shows: the window of time, whether it follows what is live, the cursors, the pointer. It changes up to
 * sixty times a second, so it is an object that the drawing loop reads, not React state; components listen at their own
 * pace (use-view.ts). Pausing only lets go of the live edge: samples go on being recorded.
 */
import type { ActionRecord } from "../../core/contract/timeline.ts";
import { FollowClock } from "../../core/timeline/follow-clock.ts";
import type { StackHeight } from "../../core/timeline/stack.ts";
import { TimelineStore } from "../../core/timeline/store.ts";
import {
  clampTo,
  endingAt,
  pan,
  pxToTime,
  spanSeconds,
  type TimeWindow,
  withMargin,
  zoomAbout,
} from "../../core/timeline/time-scale.ts";
import { actionStartSeconds, extentOf, type Timeline } from "../../core/timeline/timeline.ts";

export interface TimelineViewOptions {
  /** Samples still arrive: the view begins by following them. */
  readonly isLive: boolean;
}

/** What components draw from; a new object after every change. */
export interface TimelineViewState {
  readonly window: TimeWindow;
  readonly isFollowing: boolean;
  /** Pinned times; with both, their difference is shown. */
  readonly cursorA: number | undefined;
  readonly cursorB: number | undefined;
  readonly hoverSeconds: number | undefined;
  /** The consumer whose band stands out. */
  readonly highlighted: string | undefined;
  readonly height: StackHeight;
  readonly timeLabels: "relative" | "clock";
}

/** What a live view shows until somebody zooms. */
export const DEFAULT_SPAN_SECONDS = 30;
/** How far around an action the cursors are set at least: more than one sample at 100 Hz. */
const ACTION_MARGIN_SECONDS = 0.02;
/** Time constant of glides. */
const GLIDE_SECONDS = 0.07;
/** Following redraws in steps of this many pixels; less would redraw what nobody can see. */
const FOLLOW_STEP_PX = 0.5;
const REDUCED_MOTION_STEP_SECONDS = 0.5;

export class TimelineView {
  readonly isLive: boolean;
  private current: TimelineViewState;
  private timeline: Timeline = { samples: new TimelineStore(), actions: [], phases: [] };
  private clock = new FollowClock();
  private readonly listeners = new Set<() => void>();
  private destination: TimeWindow | undefined;
  private lastFrameSeconds = 0;
  private hasMoved = false;
  private hoverShare: number | undefined;
  private sinceSeconds: number | undefined;

  constructor(options: TimelineViewOptions) {
    this.isLive = options.isLive;
    this.current = {
      window: { startSeconds: 0, endSeconds: DEFAULT_SPAN_SECONDS },
      isFollowing: options.isLive,
      cursorA: undefined,
      cursorB: undefined,
      hoverSeconds: undefined,
      highlighted: undefined,
      height: "capacity",
      timeLabels: "relative",
    };
  }

  get state(): TimelineViewState {
    return this.current;
  }

  /** Calls after every change, until the returned function is called. */
  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The timeline that is shown; a recording that is not live is fitted when it first has samples. */
  attach(timeline: Timeline): void {
    const isOther = timeline.samples !== this.timeline.samples;
    this.timeline = timeline;
    if (isOther) this.clock = new FollowClock();
    if (isOther && !this.isLive) this.reset(false);
  }

  /**
   * Moves what moves by itself: the live edge and glides. Called once per frame.
   * @param screenSeconds the screen's clock, e.g. `performance.now() / 1000`
   * @param widthPx of the plot, in the pixels that can be told apart
   */
  advance(screenSeconds: number, widthPx: number, reducedMotion: boolean): void {
    const elapsed = Math.min(0.1, Math.max(0, screenSeconds - this.lastFrameSeconds));
    this.lastFrameSeconds = screenSeconds;
    const newest = this.timeline.samples.lastSeconds;
    if (newest !== undefined) this.clock.observe(newest, screenSeconds);
    const edge = this.clock.edgeSeconds(screenSeconds);
    const isFollowing = this.current.isFollowing && this.isLive && edge !== undefined;
    if (this.destination !== undefined) {
      if (isFollowing) this.destination = this.windowAt(edge, this.destination);
      this.glide(elapsed, reducedMotion);
    } else if (isFollowing) {
      const { window } = this.current;
      const step = reducedMotion
        ? REDUCED_MOTION_STEP_SECONDS
        : (FOLLOW_STEP_PX * spanSeconds(window)) / Math.max(1, widthPx);
      const next = this.windowAt(edge, window);
      if (Math.abs(next.endSeconds - window.endSeconds) >= step) this.change({ window: next });
    }
  }

  /** Until when the newest sample is taken to hold: the moving edge of a live timeline. */
  holdUntilSeconds(screenSeconds: number): number | undefined {
    return this.isLive ? this.clock.edgeSeconds(screenSeconds) : undefined;
  }

  /** How far the right edge is behind the newest sample. */
  behindSeconds(): number {
    return Math.max(0, (this.timeline.samples.lastSeconds ?? 0) - this.current.window.endSeconds);
  }

  zoom(aboutSeconds: number, factor: number, glides = false): void {
    const { window, isFollowing } = this.current;
    const edge = Math.min(window.endSeconds, this.timeline.samples.lastSeconds ?? window.endSeconds);
    const about = isFollowing && this.isLive ? edge : aboutSeconds;
    this.moveTo(this.clamped(zoomAbout(this.destination ?? window, about, factor)), glides);
  }

  /** Zooms about the pointer, else about the middle. */
  zoomHere(factor: number): void {
    const { window, hoverSeconds } = this.current;
    this.zoom(hoverSeconds ?? (window.startSeconds + window.endSeconds) / 2, factor, true);
  }

  /** Moves by a share of the visible span; a view that followed what is live stays where it is from then on. */
  panBy(share: number, glides = false): void {
    const from = this.destination ?? this.current.window;
    this.letGo();
    this.moveTo(this.clamped(pan(from, share * spanSeconds(from))), glides);
  }

  /** Shows exactly this window. */
  show(window: TimeWindow, glides = false): void {
    this.letGo();
    this.moveTo(this.clamped(window), glides);
  }

  /** What lies between the cursors, else everything. */
  fit(): void {
    const { cursorA, cursorB } = this.current;
    if (cursorA !== undefined && cursorB !== undefined && cursorA !== cursorB) {
      this.show(
        withMargin({ startSeconds: Math.min(cursorA, cursorB), endSeconds: Math.max(cursorA, cursorB) }, 0.1),
        true,
      );
      return;
    }
    const extent = extentOf(this.timeline);
    if (extent !== undefined) this.show(withMargin(extent), true);
  }

  /** The last half minute of what is live, followed; all of a recording. */
  reset(glides = true): void {
    const extent = extentOf(this.timeline);
    if (!this.isLive) {
      if (extent !== undefined) this.moveTo(withMargin(extent), glides);
      return;
    }
    const endSeconds = extent?.endSeconds ?? this.current.window.endSeconds;
    this.change({ isFollowing: true });
    this.moveTo(this.windowAt(endSeconds, { startSeconds: endSeconds - DEFAULT_SPAN_SECONDS, endSeconds }), glides);
  }

  /** Following begins no earlier than this: what was before is another story, though it can be scrolled to. */
  followSince(timeSeconds: number | undefined): void {
    this.sinceSeconds = timeSeconds;
    if (this.current.isFollowing) this.reset(false);
  }

  follow(): void {
    if (!this.isLive) return;
    this.destination = undefined;
    this.change({ isFollowing: true });
  }

  /** Stops moving with what is live; recording goes on. */
  pause(): void {
    this.letGo();
  }

  setCursors(cursorA: number | undefined, cursorB: number | undefined): void {
    if (cursorA !== undefined) this.letGo();
    this.change({ cursorA, cursorB });
  }

  /** Moves the last cursor that was set (a new one in the middle when there is none) by pixels of a plot. */
  moveCursor(byPx: number, widthPx: number, whichIsB: boolean): void {
    const { window, cursorA, cursorB } = this.current;
    const bySeconds = (byPx * spanSeconds(window)) / Math.max(1, widthPx);
    const middle = (window.startSeconds + window.endSeconds) / 2;
    if (whichIsB) this.setCursors(cursorA ?? middle, (cursorB ?? cursorA ?? middle) + bySeconds);
    else this.setCursors((cursorA ?? middle) + (cursorA === undefined ? 0 : bySeconds), cursorB);
    const moved = whichIsB ? this.current.cursorB : this.current.cursorA;
    if (moved !== undefined) this.reveal(moved);
  }

  /** Cursors just before and just after an action, so that the difference is what it did, however late it was sampled. */
  select(action: ActionRecord): void {
    const { samples } = this.timeline;
    const row = samples.rowAtOrAfter(action.timeSeconds);
    const sampledSeconds = row < samples.endRow ? samples.timeAt(row) : action.timeSeconds;
    const afterSeconds = Math.max(action.timeSeconds + ACTION_MARGIN_SECONDS, sampledSeconds);
    this.setCursors(actionStartSeconds(action) - ACTION_MARGIN_SECONDS, afterSeconds);
    this.reveal(action.timeSeconds);
  }

  /** The pointer is at a share of the plot's width, and stays there while the view moves; undefined: it left. */
  hover(share: number | undefined): void {
    this.hoverShare = share;
    if (share !== undefined || this.current.hoverSeconds !== undefined) this.change({});
  }

  highlight(highlighted: string | undefined): void {
    if (highlighted !== this.current.highlighted) this.change({ highlighted });
  }

  setHeight(height: StackHeight): void {
    if (height !== this.current.height) this.change({ height });
  }

  toggleTimeLabels(): void {
    this.change({ timeLabels: this.current.timeLabels === "relative" ? "clock" : "relative" });
  }

  /** What is followed: up to the live edge; from the first sample while there is less than the span shows. */
  private windowAt(edgeSeconds: number, window: TimeWindow): TimeWindow {
    const span = spanSeconds(window);
    const firstSeconds = this.sinceSeconds ?? this.timeline.samples.firstSeconds;
    const endSeconds = firstSeconds === undefined ? edgeSeconds : Math.max(edgeSeconds, firstSeconds + span);
    return endingAt(window, endSeconds);
  }

  private reveal(timeSeconds: number): void {
    const window = this.destination ?? this.current.window;
    if (timeSeconds >= window.startSeconds && timeSeconds <= window.endSeconds) return;
    const half = spanSeconds(window) / 2;
    this.show({ startSeconds: timeSeconds - half, endSeconds: timeSeconds + half }, true);
  }

  private letGo(): void {
    if (this.current.isFollowing) this.change({ isFollowing: false });
  }

  private clamped(window: TimeWindow): TimeWindow {
    const extent = extentOf(this.timeline) ?? this.current.window;
    return clampTo(window, extent, Math.max(2 * DEFAULT_SPAN_SECONDS, 1.2 * spanSeconds(extent)));
  }

  private moveTo(window: TimeWindow, glides: boolean): void {
    // The first window has nothing to glide from.
    this.destination = glides && this.hasMoved ? window : undefined;
    this.hasMoved = true;
    if (this.destination === undefined) this.change({ window });
  }

  private glide(elapsedSeconds: number, reducedMotion: boolean): void {
    const to = this.destination;
    if (to === undefined) return;
    const from = this.current.window;
    const share = reducedMotion ? 1 : 1 - Math.exp(-elapsedSeconds / GLIDE_SECONDS);
    const startSeconds = from.startSeconds + (to.startSeconds - from.startSeconds) * share;
    const endSeconds = from.endSeconds + (to.endSeconds - from.endSeconds) * share;
    const rest = Math.abs(to.startSeconds - startSeconds) + Math.abs(to.endSeconds - endSeconds);
    const isThere = rest < spanSeconds(to) * 1e-3;
    if (isThere) this.destination = undefined;
    this.change({ window: isThere ? to : { startSeconds, endSeconds } });
  }

  private change(part: Partial<TimelineViewState>): void {
    const next = { ...this.current, ...part };
    const { hoverShare } = this;
    const hoverSeconds = hoverShare === undefined ? undefined : pxToTime(next.window, 1, hoverShare);
    this.current = { ...next, hoverSeconds };
    for (const listener of this.listeners) listener();
  }
}
