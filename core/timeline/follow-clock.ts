/**
 * Where "now" is on a live timeline. Batches arrive a few times a second and late by different amounts; the right edge
 * should glide. This keeps the offset between the samples' clock and the screen's clock and lets it change slowly, so
 * it also holds when the two machines' clocks disagree.
 */

/** Share of a new observation that the offset takes over. */
const ADAPTATION = 0.1;
/** A jump this large is a new start (sampling was off, the machine slept), not jitter. */
const RESTART_SECONDS = 1.5;

export class FollowClock {
  private offsetSeconds: number | undefined;
  private newestSeconds = Number.NEGATIVE_INFINITY;

  /** Tells that samples up to `sampleSeconds` were there at `screenSeconds` of the screen's own clock. */
  observe(sampleSeconds: number, screenSeconds: number): void {
    if (sampleSeconds <= this.newestSeconds) return;
    this.newestSeconds = sampleSeconds;
    const offset = sampleSeconds - screenSeconds;
    const known = this.offsetSeconds;
    this.offsetSeconds =
      known === undefined || Math.abs(offset - known) > RESTART_SECONDS
        ? offset
        : known + (offset - known) * ADAPTATION;
  }

  /** The time at the right edge: it stops shortly after the samples do. Undefined before the first sample. */
  edgeSeconds(screenSeconds: number): number | undefined {
    if (this.offsetSeconds === undefined) return undefined;
    return Math.min(screenSeconds + this.offsetSeconds, this.newestSeconds + RESTART_SECONDS);
  }
}
