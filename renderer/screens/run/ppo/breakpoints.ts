/** Setting and clearing breakpoints: pure changes of the list that the session keeps. */
import type { Breakpoint } from "../../../../core/schedule/cursor.ts";
import { type Item, targetOf } from "../../../../core/schedule/schedule.ts";

/** The breakpoint that a click in the gutter of an item means; undefined: the item has none of its own. */
export function breakpointOf(item: Item): Breakpoint {
  return item.kind === "work"
    ? { kind: "phase", work: item.work }
    : { kind: "action", action: item.action.kind, consumer: targetOf(item.action) };
}

export function hasBreakpoint(breakpoints: readonly Breakpoint[], wanted: Breakpoint): boolean {
  return breakpoints.some((breakpoint) => isSame(breakpoint, wanted));
}

export function toggled(breakpoints: readonly Breakpoint[], wanted: Breakpoint): readonly Breakpoint[] {
  const others = breakpoints.filter((breakpoint) => !isSame(breakpoint, wanted));
  return others.length < breakpoints.length ? others : [...breakpoints, wanted];
}

/** At most one threshold; undefined: none. */
export function withThreshold(
  breakpoints: readonly Breakpoint[],
  usedBytes: number | undefined,
): readonly Breakpoint[] {
  const others = breakpoints.filter(({ kind }) => kind !== "memory");
  return usedBytes === undefined ? others : [...others, { kind: "memory", usedBytes }];
}

export function thresholdOf(breakpoints: readonly Breakpoint[]): number | undefined {
  return breakpoints.find((breakpoint) => breakpoint.kind === "memory")?.usedBytes;
}

function isSame(one: Breakpoint, other: Breakpoint): boolean {
  return JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());
}
