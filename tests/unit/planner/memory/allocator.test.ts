/** The caching allocator, over any order in which blocks are asked for and let go. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { playAllocator } from "../../../../core/planner/memory/pytorch/allocator.ts";
import { unitsOf } from "../../../../core/planner/memory/pytorch/count.ts";
import { type Block, Tape } from "../../../../core/planner/memory/pytorch/tape.ts";
import { MIB } from "../../../../core/units.ts";

const UNITS = unitsOf({ sequences: 1, length: 2 }, { multiprocessors: 132, cublasBytes: 32 * MIB });

/** A block, or the place of one that is let go. Sizes around which the allocator decides differently. */
const step = fc.oneof(
  fc.record({ bytes: fc.integer({ min: 1, max: 2 * MIB }) }),
  fc.record({ bytes: fc.integer({ min: 9 * MIB, max: 24 * MIB }) }),
  fc.record({ bytes: fc.integer({ min: 1, max: 300 }).map((halves) => (halves * MIB) / 2) }),
  fc.record({ letGo: fc.nat() }),
);

test("what is allocated is what was asked for, in whole blocks, and rests of up to 1 MiB", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const tape = new Tape(UNITS);
      const live: Block[] = [];
      const expected = steps.map((one) => {
        if ("bytes" in one) live.push(tape.allocate(one.bytes));
        else for (const block of live.splice(one.letGo % Math.max(1, live.length), 1)) tape.release(block);
        tape.mark("step");
        const blocks = live.map(({ requestedBytes }) => Math.ceil(requestedBytes / 512) * 512);
        const askedBytes = blocks.reduce((sum, bytes) => sum + bytes, 0);
        return { askedBytes, restBytes: MIB * blocks.filter((bytes) => bytes > MIB).length };
      });
      let reservedBefore = 0;
      for (const [at, { allocatedBytes, peakAllocatedBytes, reservedBytes }] of playAllocator(tape).entries()) {
        const { askedBytes, restBytes } = expected[at] ?? { askedBytes: 0, restBytes: 0 };
        expect(allocatedBytes).toBeGreaterThanOrEqual(askedBytes);
        expect(allocatedBytes).toBeLessThanOrEqual(askedBytes + restBytes);
        expect(peakAllocatedBytes).toBeGreaterThanOrEqual(allocatedBytes);
        // Nothing is given back, and nothing is asked of the driver that is not needed for a block.
        expect(reservedBytes).toBeGreaterThanOrEqual(Math.max(peakAllocatedBytes, reservedBefore));
        reservedBefore = reservedBytes;
      }
    }),
  );
});
