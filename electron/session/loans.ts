/**
 * Weights lent to other processes of this user (docs/share-weights.md): at which socket, and how many have them mapped. The
 * addon refuses by itself what may not be while they are mapped; here is what a session asks before it begins work that would
 * end so, and where it says that what was lent is gone.
 */
import { lstat, unlink } from "node:fs/promises";
import { connect } from "node:net";
import { resolve } from "node:path";
import type { ConsumerState } from "../../core/contract/state.ts";
import { TidelineError } from "../../core/errors.ts";
import { type Loan, mappedBy } from "../../core/loan.ts";
import type { NativeSharing, ShareOptions } from "../../native/addon.d.ts";
import { isErrno } from "./files.ts";

/** The addon says only when asked who has something mapped. */
const LOOK_MS = 200;

export interface Lendable {
  share(options: ShareOptions): NativeSharing;
}

export interface OpenLoan {
  observe(): Loan;
  close(): Promise<void>;
}

/**
 * Lends at a socket until it is closed, and says whenever the number of processes that have it mapped is not the one that
 * everybody knows: that of the last time, unless somebody has observed another meanwhile.
 */
export async function openLoan(lent: Lendable, path: string, onBorrowers: (loan: Loan) => void): Promise<OpenLoan> {
  const socket = resolve(path);
  await removeDeadSocket(socket);
  const sharing = lent.share({ path: socket });
  let known: number | undefined = 0;
  const looking = setInterval(() => {
    const loan = sharing.observe();
    if (loan.borrowers === known) return;
    known = loan.borrowers;
    onBorrowers(loan);
  }, LOOK_MS);
  return {
    observe() {
      const loan = sharing.observe();
      if (loan.borrowers !== known) known = undefined;
      return loan;
    },
    close() {
      clearInterval(looking);
      return sharing.close();
    },
  };
}

export interface LoanListener {
  /** Another number of processes has something mapped. */
  readonly onBorrowers: () => void;
  /** A loan ended because the weights left. */
  readonly onOver: (consumer: string, milliseconds: number) => void;
}

interface Wanted {
  readonly consumer: string;
  /** Whose bytes it reads instead of its own. */
  readonly reads: string | undefined;
  readonly lendable: Lendable | undefined;
}

/** By the consumer that is lent. */
export class Loans {
  readonly #open = new Map<string, OpenLoan>();
  #listener: LoanListener | undefined;

  listen(listener: LoanListener): void {
    this.#listener = listener;
  }

  of(consumer: string): Loan | undefined {
    return this.#open.get(consumer)?.observe();
  }

  shownIn(consumers: readonly ConsumerState[]): ConsumerState[] {
    return consumers.map((state) => {
      const loan = this.of(state.consumer);
      return loan === undefined ? state : { ...state, loan };
    });
  }

  /** @throws TidelineError `bad_argument` for no weights, `shared` for another's, `busy` for what is lent; those of the addon. */
  async lend({ consumer, reads, lendable }: Wanted, path: string): Promise<void> {
    if (lendable === undefined) {
      const hint = "Lend the weights of the engine or of a model.";
      throw new TidelineError({ code: "bad_argument", message: `${consumer} cannot be lent`, hint });
    }
    if (reads !== undefined) {
      const message = `${consumer} are the bytes of ${reads}`;
      throw new TidelineError({ code: "shared", message, hint: `Lend ${reads}.` });
    }
    const before = this.of(consumer);
    if (before !== undefined) {
      throw new TidelineError({
        code: "busy",
        message: `${consumer} is lent at ${before.path} already`,
        hint: "End that loan first, or use it: any number of processes can map it.",
      });
    }
    this.#open.set(consumer, await openLoan(lendable, path, () => this.#listener?.onBorrowers()));
  }

  /** @throws TidelineError `not_found` for what is not lent. */
  async end(consumer: string): Promise<void> {
    const loan = this.#open.get(consumer);
    if (loan === undefined) {
      throw new TidelineError({
        code: "not_found",
        message: `${consumer} is not lent`,
        hint: "There is nothing to end.",
      });
    }
    await loan.close();
    this.#open.delete(consumer);
  }

  /** What was lent has left, or leaves now: whoever comes is not to wait for it. */
  async over(consumer: string): Promise<void> {
    if (!this.#open.has(consumer)) return;
    const startedMs = performance.now();
    await this.end(consumer);
    this.#listener?.onOver(consumer, performance.now() - startedMs);
  }

  async allOver(): Promise<void> {
    for (const consumer of [...this.#open.keys()]) await this.over(consumer);
  }

  /** @throws TidelineError `shared` while a process has mapped what would have to leave: everything, or this consumer. */
  refuseMapped(leaving?: string): void {
    for (const [consumer, open] of this.#open) {
      const loan = open.observe();
      if (loan.borrowers === 0 || (leaving !== undefined && leaving !== consumer)) continue;
      throw new TidelineError({
        code: "shared",
        message: `${consumer} is ${mappedBy(loan)}, lent at ${loan.path}`,
        hint: `End the loan of ${consumer} first, or that mapping in the other process.`,
      });
    }
  }
}

/** A process that was killed leaves its socket, at which nobody answers and no other can be made. */
async function removeDeadSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true && (await isDead(path))) await unlink(path);
}

function isDead(path: string): Promise<boolean> {
  return new Promise((done) => {
    const asking = connect(path);
    asking.once("error", (error) => done(isErrno(error) && error.code === "ECONNREFUSED"));
    asking.once("connect", () => {
      asking.destroy();
      done(false);
    });
  });
}
