/** What comes often is handed on seldom, and nothing of it is lost. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { inBatches } from "../../../renderer/state/in-batches.ts";

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

it("hands on the first at once, and the others together, in order", () => {
  const handed: (readonly number[])[] = [];
  const batches = inBatches<number>(100, (items) => handed.push(items));
  for (const item of [1, 2, 3]) batches.add(item);
  expect(handed).toEqual([[1]]);
  vi.advanceTimersByTime(100);
  batches.add(4);
  expect(handed).toEqual([[1], [2, 3]]);
  vi.advanceTimersByTime(1000);
  expect(handed).toEqual([[1], [2, 3], [4]]);
  batches.add(5);
  expect(handed.at(-1)).toEqual([5]);
});

it("forgets what waits", () => {
  const handed: (readonly number[])[] = [];
  const batches = inBatches<number>(100, (items) => handed.push(items));
  batches.add(1);
  batches.add(2);
  batches.forget();
  vi.advanceTimersByTime(1000);
  expect(handed).toEqual([[1]]);
});
