/** The seconds of one memory action, from the bytes it moves and the calls it makes, each with its reason. */
import { assertNever } from "../../errors.ts";
import type { MemoryState } from "../../schedule/residency.ts";
import { type Action, targetOf } from "../../schedule/schedule.ts";
import type { ScheduledConsumer } from "../../schedule/works.ts";
import type { Figure, Term } from "../provenance.ts";
import type { CallRate, TransitionRates } from "./rates.ts";

export interface TransitionContext {
  /** Before the action. */
  readonly state: MemoryState;
  /** What a consumer takes on one GPU while it is resident. */
  readonly bytesOf: (consumer: ScheduledConsumer) => number;
  readonly rates: TransitionRates;
  /** Part of the policy's weights that other GPUs have when the engine wants them. */
  readonly peerShare: number;
}

export interface Transition {
  readonly seconds: readonly Term[];
  /** That cross a link or are copied on the device. */
  readonly copiedBytes: number;
}

const NOTHING: Transition = { seconds: [], copiedBytes: 0 };

export function transitionOf(action: Action, { state, bytesOf, rates, peerShare }: TransitionContext): Transition {
  const consumer = targetOf(action);
  const bytes = bytesOf(consumer);
  const { residency, backup } = state[consumer];
  const calls = (cause: string, rate: CallRate): readonly Term[] => callTerms(cause, rate, bytes, rates.pieceBytes);
  switch (action.kind) {
    case "release":
      if (residency !== "resident") return NOTHING;
      return {
        seconds: calls("memory given up", action.destination === "hold" ? rates.hold : rates.release),
        copiedBytes: 0,
      };
    case "resume":
      return residency === "released" ? { seconds: calls("memory taken", rates.resume), copiedBytes: 0 } : NOTHING;
    case "offload": {
      if (residency !== "resident") return NOTHING;
      // A clean backup is still what the memory holds: nothing has to be copied.
      const isKept = backup?.clean === true && backup.where === action.to;
      const speed = action.to === "host" ? rates.toHostBytesPerSecond : rates.diskBytesPerSecond;
      const copies = isKept ? [] : [copyTerm(`copied to ${action.to}`, bytes, speed)];
      return {
        seconds: [...copies, ...calls("memory given up", rates.release)],
        copiedBytes: isKept ? 0 : bytes,
      };
    }
    case "load": {
      if (residency !== "host" && residency !== "disk") return NOTHING;
      const speed = residency === "host" ? rates.fromHostBytesPerSecond : rates.diskBytesPerSecond;
      return {
        seconds: [...calls("memory taken", rates.resume), copyTerm(`copied from ${residency}`, bytes, speed)],
        copiedBytes: bytes,
      };
    }
    case "swap": {
      if (action.method === "share") {
        // Its own memory is given up the first time; from then on there is none.
        return residency === "resident"
          ? { seconds: calls("memory given up", rates.release), copiedBytes: 0 }
          : NOTHING;
      }
      const own = copyTerm("copied on the device", bytes, rates.deviceCopyBytesPerSecond);
      const fetched =
        peerShare === 0 ? [] : [copyTerm("fetched from other GPUs", bytes * peerShare, rates.peerBytesPerSecond)];
      if (action.method === "copy") return { seconds: [...fetched, own], copiedBytes: bytes };
      const buckets = Math.max(1, Math.ceil(bytes / (action.bucketBytes ?? bytes)));
      return {
        seconds: [
          ...fetched,
          copyTerm("copied into buckets", bytes, rates.deviceCopyBytesPerSecond),
          own,
          {
            ...termOf(`${buckets} buckets handed over`, rates.secondsPerBucket),
            amount: buckets * rates.secondsPerBucket.value,
          },
        ],
        copiedBytes: 2 * bytes,
      };
    }
    default:
      return assertNever(action);
  }
}

function callTerms(cause: string, { secondsPerPiece, secondsPerByte }: CallRate, bytes: number, pieceBytes: number) {
  const amount = Math.ceil(bytes / pieceBytes) * secondsPerPiece.value + bytes * secondsPerByte.value;
  return amount === 0 ? [] : [{ ...termOf(cause, secondsPerPiece), amount }];
}

function copyTerm(cause: string, bytes: number, speed: Figure): Term {
  return { ...termOf(cause, speed), amount: bytes / speed.value };
}

function termOf(cause: string, { provenance, source }: Figure): Omit<Term, "amount"> {
  return { cause, provenance, source };
}
