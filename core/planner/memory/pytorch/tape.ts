/**
 * A tape of allocations: what a training or scoring step asks of PyTorch's allocator, in order, every block with the
 * reason it is there. Two readers: `peaks` (how much is live at each stage, and for what) and the caching allocator in
 * allocator.ts (how much of the device that takes).
 *
 * Layers that are alike are recorded once with a count. A repeated section has to leave the same behind each time it is
 * played, so what n of them take is arithmetic and a prediction does not grow with the depth of the model. How much is asked
 * for is a formula of the batch (count.ts), so a tape recorded for one batch is read for another.
 */
import { MIB } from "../../../units.ts";
import { amountOf, type Count, fixed, ONCE, type Size, type Units } from "./count.ts";

/** Why bytes are there; the reader of an answer sees these words. */
export const CAUSES = [
  "weights",
  "adapter weights",
  "gradients",
  "optimizer state",
  "optimizer temporaries",
  "token ids and positions",
  "hidden states between layers",
  "normalisation",
  "attention",
  "attention scores",
  "attention mask",
  "MLP",
  "experts",
  "LoRA activations",
  "key-value cache",
  "low-precision copies of weights",
  "dequantised weights",
  "logits",
  "log-probabilities",
  "value head",
  "gradients of activations",
  "gradients of logits",
  "reduction workspace",
  "cuBLAS workspace",
] as const;
export type Cause = (typeof CAUSES)[number];

/** PyTorch's allocator counts in blocks of so many bytes. */
const BLOCK_BYTES = 512;
/** From this size on a request gets a segment of its own, in steps of `SEGMENT_STEP`; a rest of up to `REST` is not cut off. */
const OWN_SEGMENT = 10 * MIB;
const SEGMENT_STEP = 2 * MIB;
const REST = MIB;

/** What a request counts for: whole blocks, and the rest of its segment where that is too small to be cut off. */
function countedBytes(bytes: number): number {
  if (bytes === 0) return 0;
  const blocks = Math.max(1, Math.ceil(bytes / BLOCK_BYTES)) * BLOCK_BYTES;
  const segment = Math.ceil(blocks / SEGMENT_STEP) * SEGMENT_STEP;
  return blocks >= OWN_SEGMENT && segment - blocks <= REST ? segment : blocks;
}

export interface Block {
  /** Place in `Tape.blocks`. */
  readonly index: number;
  readonly size: Size;
  /** With the batch that the tape was recorded for; 0 is not asked for. */
  readonly requestedBytes: number;
  readonly cause: Cause;
  references: number;
  /** Never on the device: asked for while the tape was muted. */
  readonly silent: boolean;
}

/** A run of events played `count` times. */
interface Section {
  readonly begin: number;
  end: number;
  readonly count: Count;
}

/** Between two marks. What its bytes are made of is added up when it is asked for. */
export interface Stage {
  readonly name: string;
  /** Highest live bytes since the mark before. */
  readonly peakBytes: number;
  readonly endBytes: number;
  /** What the peak is made of. */
  readonly peak: () => ReadonlyMap<Cause, number>;
  readonly end: () => ReadonlyMap<Cause, number>;
}

export type CauseScale = Readonly<Partial<Record<Cause, number>>>;

/** A point of the tape: so many whole sections, and of the next one so many times and then up to an event. */
interface Point {
  readonly sections: number;
  readonly times: number;
  readonly event: number;
}

export class Tape {
  readonly blocks: Block[] = [];
  /** A block's index: allocated. Its complement (~index): freed. */
  readonly events: number[] = [];
  private readonly sections: Section[] = [];
  /** Names of stages, each with the number of sections before its end. */
  private readonly marks: { readonly name: string; readonly sections: number }[] = [];
  private readonly units: Units;
  private currentCause: Cause = "hidden states between layers";
  private muted = false;

  /** @param units Of the batch that the tape is recorded for. */
  constructor(units: Units) {
    this.units = units;
  }

  /** Of the batch that the tape is recorded for. */
  amount(size: Size): number {
    return amountOf(size, this.units);
  }

  /** Everything asked for inside `work` is for this reason, unless `work` says more. */
  because<T>(cause: Cause, work: () => T): T {
    const outer = this.currentCause;
    this.currentCause = cause;
    const result = work();
    this.currentCause = outer;
    return result;
  }

  get cause(): Cause {
    return this.currentCause;
  }

  allocate(asked: Size | number, cause: Cause = this.currentCause): Block {
    const size = typeof asked === "number" ? fixed(asked) : asked;
    const index = this.blocks.length;
    const block = {
      index,
      size,
      requestedBytes: this.amount(size),
      cause,
      references: 1,
      silent: this.muted,
    };
    this.blocks.push(block);
    if (!this.muted) this.events.push(block.index);
    return block;
  }

  retain(block: Block): Block {
    block.references++;
    return block;
  }

  release(block: Block): void {
    block.references--;
    if (block.references === 0 && !block.silent) this.events.push(~block.index);
  }

  /** Nothing more reaches the device until `unmute`: PyTorch stops recomputing a layer once it has what it needs. */
  mute(): void {
    this.muted = true;
  }

  unmute(): void {
    this.muted = false;
  }

  /** Records `work` as something played `count` times. Sections do not nest. */
  section<T>(times: Count | number, work: () => T): T {
    this.close();
    const count = typeof times === "number" ? fixed(times) : times;
    const section = { begin: this.events.length, end: this.events.length, count };
    const result = work();
    section.end = this.events.length;
    this.sections.push(section);
    return result;
  }

  /** Ends a stage. */
  mark(name: string): void {
    this.close();
    this.marks.push({ name, sections: this.sections.length });
  }

  /** Events outside of any section are played once. */
  private close(): void {
    const begin = this.sections.at(-1)?.end ?? 0;
    if (this.events.length > begin) this.sections.push({ begin, end: this.events.length, count: ONCE });
  }

  /** The number of events before each mark. */
  markedEvents(): readonly { readonly name: string; readonly end: number }[] {
    return this.marks.map(({ name, sections }) => ({ name, end: this.sections[sections - 1]?.end ?? 0 }));
  }

  /**
   * What is live at each stage. `scale`: devices that share the work hold only a part of what is there for some reasons
   * (1/8 of the optimizer's state, say); bytes of a reason count times its scale. `units`: of another batch, for which the
   * model would do the same in the same order.
   */
  stages(scale: CauseScale = {}, units = this.units): readonly Stage[] {
    const { events, sections } = this;
    const bytes = new Float64Array(this.blocks.length);
    for (const [index, { size, cause }] of this.blocks.entries()) {
      bytes[index] = countedBytes(amountOf(size, units)) * (scale[cause] ?? 1);
    }
    let liveBytes = 0;
    let from = 0;
    return this.marks.map(({ name, sections: until }) => {
      let peakBytes = liveBytes;
      let peak: Point = { sections: from, times: 0, event: 0 };
      for (let index = from; index < until; index++) {
        const section = sections[index];
        if (section === undefined) continue;
        // Of one time: the highest point above where it began, the event after which it is reached, what stays at the end.
        let [net, highest, highestAt] = [0, 0, section.begin];
        for (let at = section.begin; at < section.end; at++) {
          const event = events[at] ?? 0;
          net += event >= 0 ? (bytes[event] ?? 0) : -(bytes[~event] ?? 0);
          if (net > highest) {
            highest = net;
            highestAt = at + 1;
          }
        }
        const count = amountOf(section.count, units);
        const times = net > 0 ? count - 1 : 0;
        if (liveBytes + times * net + highest > peakBytes) {
          peakBytes = liveBytes + times * net + highest;
          peak = { sections: index, times, event: highestAt };
        }
        liveBytes += count * net;
      }
      from = until;
      const end: Point = { sections: until, times: 0, event: 0 };
      return {
        name,
        peakBytes,
        endBytes: liveBytes,
        peak: () => this.liveAt(peak, bytes, units),
        end: () => this.liveAt(end, bytes, units),
      };
    });
  }

  /** What is live at a point, by reason. */
  private liveAt({ sections, times, event: until }: Point, bytes: Float64Array, units: Units) {
    const live = new Map<Cause, number>();
    const add = (begin: number, end: number, count: number): void => {
      for (let at = begin; at < end; at++) {
        const event = this.events[at] ?? 0;
        const index = event >= 0 ? event : ~event;
        const cause = this.blocks[index]?.cause;
        const change = count * (bytes[index] ?? 0);
        if (cause !== undefined && change !== 0)
          live.set(cause, (live.get(cause) ?? 0) + (event >= 0 ? change : -change));
      }
    };
    for (const { begin, end, count } of this.sections.slice(0, sections)) add(begin, end, amountOf(count, units));
    const last = this.sections[sections];
    if (last !== undefined && times > 0) add(last.begin, last.end, times);
    if (last !== undefined) add(last.begin, until, 1);
    return live;
  }
}
