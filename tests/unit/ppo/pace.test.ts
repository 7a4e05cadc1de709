/** The pace of a run: a wait that nobody has to sit out. A test that hangs is a wait that did not end. */
import { expect, test } from "vitest";
import { Pace } from "../../../electron/ppo/pace.ts";

const HOUR_SECONDS = 3600;

test("without a pace nothing waits, and an item that took long enough does not either", async () => {
  const pace = new Pace();
  await pace.keep(performance.now(), () => true);
  pace.set(HOUR_SECONDS);
  await pace.keep(performance.now() - 1000 * HOUR_SECONDS, () => true);
});

test("a wait ends when it is not wanted any more", async () => {
  const pace = new Pace();
  pace.set(HOUR_SECONDS);
  let wanted = true;
  const kept = pace.keep(performance.now(), () => wanted);
  wanted = false;
  pace.hurry();
  await kept;
});

test("a faster pace counts for the item under way", async () => {
  const pace = new Pace();
  pace.set(HOUR_SECONDS);
  const kept = pace.keep(performance.now(), () => true);
  pace.set(0);
  await kept;
  expect(pace.itemSeconds).toBe(0);
});

test("hurrying what is still wanted does not cut it short", async () => {
  const pace = new Pace();
  pace.set(HOUR_SECONDS);
  let looks = 0;
  let over = false;
  const kept = pace
    .keep(performance.now(), () => ++looks < 3)
    .then(() => {
      over = true;
    });
  pace.hurry();
  await new Promise((resolve) => setImmediate(resolve));
  expect({ looks, over }).toEqual({ looks: 2, over: false });
  pace.hurry();
  await kept;
});
