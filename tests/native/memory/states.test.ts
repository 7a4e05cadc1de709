/** Any sequence of operations on a few regions behaves as the small model below says, refusals included. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion, ReleaseDestination, ReleaseMode } from "../../../native/addon.d.ts";
import { createRegion, describeDevice, openDevice, withFolder } from "../support.ts";

const SIZES_BYTES = [4 * MIB, 8 * MIB, 10 * MIB] as const;
/** Two regions fit, three do not. */
const CAPACITY_BYTES = 18 * MIB;

interface ModelRegion {
  readonly bytes: number;
  residency: "released" | "resident" | "host" | "disk";
  /** The seed that the contents were filled with; undefined contents have none. */
  seed?: number | undefined;
  backup?: { where: "host" | "disk"; seed: number } | undefined;
}

type Step =
  | { readonly kind: "resume" | "checksum"; readonly region: number }
  | { readonly kind: "fill"; readonly region: number; readonly seed: number }
  | {
      readonly kind: "release";
      readonly region: number;
      readonly mode: ReleaseMode;
      readonly destination: ReleaseDestination;
    }
  | { readonly kind: "trim" };

class Model {
  readonly regions: readonly ModelRegion[] = SIZES_BYTES.map((bytes) => ({ bytes, residency: "released" }));
  heldBytes = 0;

  get committedBytes(): number {
    return this.regions.reduce((sum, region) => sum + (region.residency === "resident" ? region.bytes : 0), 0);
  }

  /** The code of the refusal, or undefined and the model has taken the step. */
  take(step: Step): string | undefined {
    if (step.kind === "trim") {
      this.heldBytes = 0;
      return undefined;
    }
    const region = this.regions[step.region];
    if (region === undefined) throw new Error("no such region");
    switch (step.kind) {
      case "resume": {
        if (region.residency === "resident") return "already_resident";
        const fromHeldBytes = Math.min(this.heldBytes, region.bytes);
        const freeBytes = CAPACITY_BYTES - this.committedBytes - this.heldBytes;
        if (region.bytes - fromHeldBytes > freeBytes) return "out_of_memory";
        this.heldBytes -= fromHeldBytes;
        region.residency = "resident";
        return undefined;
      }
      case "fill":
        if (region.residency !== "resident") return "not_resident";
        region.seed = step.seed;
        // Written is written: the model knows that a fill with the same seed is no change, the addon need not.
        if (region.backup !== undefined) region.backup = { ...region.backup, seed: -1 };
        return undefined;
      case "checksum":
        if (region.residency !== "resident") return "not_resident";
        return region.seed === undefined ? "contents_undefined" : undefined;
      case "release":
        return this.release(region, step.mode, step.destination);
    }
  }

  private release(region: ModelRegion, mode: ReleaseMode, destination: ReleaseDestination): string | undefined {
    const resident = region.residency === "resident";
    if (!resident && (mode !== "discard" || region.residency === "released")) return "already_released";
    if (mode === "discard") {
      region.seed = undefined;
      region.backup = undefined;
      region.residency = "released";
    } else {
      if (region.seed === undefined) return "contents_undefined";
      if (mode === "clean") {
        if (region.backup?.seed !== region.seed) return "not_clean";
        region.residency = region.backup.where;
      } else {
        region.backup = { where: mode, seed: region.seed };
        region.residency = mode;
      }
    }
    if (resident && destination === "hold") this.heldBytes += region.bytes;
    return undefined;
  }
}

const regionIndex = fc.nat(SIZES_BYTES.length - 1);
const steps: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("resume" as const), region: regionIndex }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("fill" as const), region: regionIndex, seed: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("checksum" as const), region: regionIndex }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("release" as const),
      region: regionIndex,
      mode: fc.constantFrom<ReleaseMode>("discard", "host", "disk", "clean"),
      destination: fc.constantFrom<ReleaseDestination>("hold", "return"),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("trim" as const) }) },
);

async function perform(
  device: NativeDevice,
  regions: readonly NativeRegion[],
  step: Step,
  directory: string,
): Promise<unknown> {
  if (step.kind === "trim") return device.trim();
  const region = regions[step.region];
  switch (step.kind) {
    case "resume":
      return region?.resume();
    case "fill":
      return region?.fill(step.seed);
    case "checksum":
      return region?.checksum();
    case "release":
      return region?.release({ mode: step.mode, destination: step.destination, directory });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : error;
}

describeDevice("states", () => {
  test("every sequence of operations", async () => {
    // What a fill leaves depends on the seed and the size alone: learned once, then held against every later checksum.
    const checksums = new Map<string, string>();
    await withFolder(async (directory) => {
      const property = fc.asyncProperty(fc.array(steps, { minLength: 40, maxLength: 100 }), async (sequence) => {
        const device = openDevice(CAPACITY_BYTES);
        const regions = SIZES_BYTES.map((bytes, i) => createRegion(device, `region${i}`, bytes));
        const addresses = regions.map((region) => region.observe().address);
        const model = new Model();
        for (const step of sequence) {
          const expected = model.take(step);
          const code = await perform(device, regions, step, directory).then(() => undefined, codeOf);
          expect(code).toBe(expected);
          expect(device.observe()).toMatchObject({ committedBytes: model.committedBytes, heldBytes: model.heldBytes });
          for (const [i, region] of regions.entries()) {
            const wanted = model.regions[i];
            expect(region.observe()).toMatchObject({
              residency: wanted?.residency,
              contents: wanted?.seed === undefined ? "undefined" : "defined",
              address: addresses[i],
            });
            if (wanted?.residency !== "resident" || wanted.seed === undefined) continue;
            const key = `${wanted.bytes}/${wanted.seed}`;
            const checksum = await region.checksum();
            if (!checksums.has(key)) checksums.set(key, checksum);
            expect(checksum).toBe(checksums.get(key));
          }
        }
        for (const region of regions) await region.close();
        expect(device.observe()).toMatchObject({ committedBytes: 0, hostBackupBytes: 0 });
        await device.close();
      });
      await fc.assert(property, { numRuns: 60, endOnFailure: true });
    });
  });
});
