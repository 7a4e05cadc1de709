/** A loan tells how many processes have it mapped, to everybody and at last. */
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { openLoan } from "../../../electron/session/loans.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
});
afterEach(() => {
  vi.useRealTimers();
});

async function lent() {
  const sharing = { borrowers: 0, isClosed: false };
  const told: number[] = [];
  const lendable = {
    share: ({ path }: { readonly path: string }) => ({
      observe: () => ({ path, borrowers: sharing.borrowers }),
      close: async () => {
        sharing.isClosed = true;
      },
    }),
  };
  const loan = await openLoan(lendable, "/nonexistent/weights.sock", ({ borrowers }) => told.push(borrowers));
  return { sharing, told, loan };
}

it("says when another number of processes has it mapped, once each time, until it is closed", async () => {
  const { sharing, told, loan } = await lent();
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual([]);
  for (const borrowers of [1, 2, 0]) {
    sharing.borrowers = borrowers;
    vi.advanceTimersByTime(10_000);
  }
  expect(told).toEqual([1, 2, 0]);
  await loan.close();
  sharing.borrowers = 3;
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual([1, 2, 0]);
  expect(sharing.isClosed).toBe(true);
});

it("corrects what somebody saw who looked in between", async () => {
  const { sharing, told, loan } = await lent();
  sharing.borrowers = 2;
  expect(loan.observe().borrowers).toBe(2);
  sharing.borrowers = 0;
  vi.advanceTimersByTime(10_000);
  expect(told).toEqual([0]);
});
