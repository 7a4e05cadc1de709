/**
 * A page with only the timeline and made-up data: for looking at it and for measuring it (measure.mjs).
 * `?seconds=3600&hertz=100&theme=dark&live=1&phases=1&table=1`
 */
import { createRoot } from "react-dom/client";
import { matches } from "../../../renderer/commands/keys.ts";
import "../../../renderer/theme/theme.css";
import { timelineCommands } from "../../../renderer/timeline/commands.ts";
import { Timeline } from "../../../renderer/timeline/timeline.tsx";
import { TimelineTable } from "../../../renderer/timeline/timeline-table.tsx";
import { TimelineView } from "../../../renderer/timeline/view.ts";
import { syntheticBatch, syntheticTimeline } from "./synthetic.ts";

const BATCH_SECONDS = 0.1;

const query = new URLSearchParams(location.search);
const seconds = Number(query.get("seconds") ?? 3600);
const hertz = Number(query.get("hertz") ?? 100);
const isLive = query.has("live");
document.documentElement.dataset.theme = query.get("theme") ?? "dark";

const startSeconds = Date.now() / 1000 - seconds;
const timeline = syntheticTimeline({ startSeconds, seconds, hertz, hasPhases: query.has("phases") });
const view = new TimelineView({ isLive });
Object.assign(window, { timelineView: view, timeline, measurePan, measureZoom });

/** Zooms a little per frame, which draws everything anew. */
async function measureZoom(forSeconds: number): Promise<Frames> {
  return frames(forSeconds, (frame) => view.zoom(startSeconds + seconds / 2, frame % 60 < 30 ? 0.99 : 1 / 0.99));
}

/** Pans a little per frame. */
async function measurePan(forSeconds: number): Promise<Frames> {
  const middle = startSeconds + seconds / 2;
  view.show({ startSeconds: middle - seconds * 0.4, endSeconds: middle + seconds * 0.4 });
  return frames(forSeconds, (frame) => view.panBy(frame % 120 < 60 ? 0.001 : -0.001));
}

interface Frames {
  readonly frames: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

/** Does something in every frame for a while, and says how far apart the frames were. */
async function frames(forSeconds: number, change: (frame: number) => void): Promise<Frames> {
  const intervals: number[] = [];
  let last = performance.now();
  const end = last + forSeconds * 1000;
  for (let frame = 0; last < end; frame++) {
    const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    intervals.push(now - last);
    last = now;
    change(frame);
  }
  return { frames: intervals.length, medianMs: quantile(intervals, 0.5), p95Ms: quantile(intervals, 0.95) };
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
}

if (isLive) {
  let row = Math.floor(seconds * hertz);
  setInterval(() => {
    const until = Math.floor((Date.now() / 1000 - startSeconds) * hertz);
    if (until > row) timeline.samples.append(syntheticBatch(startSeconds, row, until - row, hertz));
    row = Math.max(row, until);
  }, BATCH_SECONDS * 1000);
}

window.addEventListener("keydown", (event) => {
  const command = timelineCommands(view).find((candidate) =>
    candidate.keys?.some((chord) => matches(chord, event, false)),
  );
  if (command !== undefined && command.refused === undefined) void command.run();
});

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    query.has("table") ? (
      <TimelineTable timeline={timeline} view={view} />
    ) : (
      <Timeline timeline={timeline} view={view} />
    ),
  );
}
