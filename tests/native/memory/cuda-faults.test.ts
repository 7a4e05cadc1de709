/**
 * Every call of the driver fails in turn, over a double of it (../cuda-double): the life of three regions is led once per
 * call, with that call failing. Out of memory leaves everything as it was and the next attempt works; a lost device
 * refuses with one error, lets go of everything, and can be opened again.
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion } from "../../../native/addon.d.ts";
import { ILLEGAL_ADDRESS, installCudaDouble, NOTHING, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { addon, failure } from "../support.ts";

setFlagsFromString("--expose-gc");
const collectGarbage: unknown = runInNewContext("gc");

/** A life is led so many times that filling chunks as large as a card's would take most of a minute. */
const CHUNK_BYTES = 64 * 1024;
/** What is filled, checked and written to disk at once. */
const PIECE_BYTES = 4 * MIB;
const double = await installCudaDouble({ granularityBytes: CHUNK_BYTES });
afterAll(() => double.remove());
const directory = join(double.folder, "backups");
mkdirSync(directory);

/** What the steps below make, and what they know of it. */
class Scene {
  device: NativeDevice | undefined;
  /** Left out, a region's chunks are as large as fits it. */
  readonly chunkBytes: number | undefined;
  readonly regions = new Map<string, NativeRegion>();
  checksum = "";

  constructor(chunkBytes: number | undefined) {
    this.chunkBytes = chunkBytes;
  }

  get open(): NativeDevice {
    if (this.device === undefined) throw new Error("the device is opened first");
    return this.device;
  }

  region(name: string): NativeRegion {
    const region = this.regions.get(name);
    if (region === undefined) throw new Error(`${name} is created first`);
    return region;
  }

  create(name: string, bytes: number): void {
    this.regions.set(name, this.open.createRegion({ consumer: name, tag: name, bytes }));
  }

  async expectContents(name: string): Promise<void> {
    expect(await this.region(name).checksum()).toBe(this.checksum);
  }

  /** Everything that a refused operation must not have changed, without a call of the driver. */
  snapshot(): unknown {
    const regions = [...this.regions.values()].map((region) => {
      const { backup: _, ...state } = region.observe();
      return state;
    });
    return { regions, holders: this.device?.holders() };
  }

  async close(): Promise<void> {
    for (const region of this.regions.values()) await region.close();
    this.regions.clear();
    expect(this.device?.observe()).toMatchObject({ committedBytes: 0, hostBackupBytes: 0, regions: [] });
    await this.device?.close();
    this.device = undefined;
  }
}

function described(error: unknown): { readonly code: string; readonly message: string; readonly hint: string } {
  if (!(error instanceof Error)) throw error;
  return Object.assign({ code: "", hint: "" }, error, { message: error.message });
}

type Step = (scene: Scene) => unknown;

const OPEN: Step = (scene) => {
  const { chunkBytes } = scene;
  const options = { name: "cuda:0", capacityBytes: 64 * MIB };
  scene.device = addon.openDevice({ ...options, ...(chunkBytes !== undefined && { chunkBytes }) });
};

const LIFE: readonly Step[] = [
  OPEN,
  (scene) => scene.create("weights", 2 * CHUNK_BYTES),
  (scene) => scene.region("weights").resume(),
  (scene) => scene.region("weights").fill(7),
  async (scene) => {
    scene.checksum = await scene.region("weights").checksum();
  },
  (scene) => scene.region("weights").release({ mode: "host" }),
  (scene) => scene.region("weights").resume(),
  (scene) => scene.expectContents("weights"),
  // The host's memory is there now: what is copied goes back to the device beside it.
  (scene) => scene.region("weights").fill(8),
  async (scene) => {
    scene.checksum = await scene.region("weights").checksum();
  },
  (scene) => scene.region("weights").release({ mode: "host" }),
  (scene) => scene.region("weights").resume(),
  (scene) => scene.expectContents("weights"),
  (scene) => scene.region("weights").release({ mode: "clean", destination: "hold" }),
  (scene) => scene.region("weights").resume(),
  (scene) => scene.region("weights").release({ mode: "disk", directory }),
  (scene) => scene.region("weights").resume(),
  (scene) => scene.expectContents("weights"),
  // The pool's two chunks and a fresh one go into another region.
  (scene) => scene.create("copy", 2 * CHUNK_BYTES),
  (scene) => scene.region("copy").resume(),
  (scene) => scene.region("copy").copyFrom(scene.region("weights")),
  (scene) => scene.expectContents("copy"),
  (scene) => scene.region("copy").prepareBackup(),
  (scene) => scene.region("copy").release({ mode: "discard", destination: "hold" }),
  // Of more than one piece, where that does not take too many chunks.
  (scene) => scene.create("policy", 3 * CHUNK_BYTES + (scene.chunkBytes === undefined ? PIECE_BYTES : 0)),
  (scene) => scene.region("policy").resume(),
  (scene) => scene.region("policy").fill(1),
  (scene) => scene.region("policy").release({ mode: "discard", destination: "hold" }),
  (scene) => scene.open.setCapacity(4 * CHUNK_BYTES),
  (scene) => scene.open.trim(),
  (scene) => scene.region("policy").close(),
  (scene) => scene.expectContents("weights"),
];

const MOST_CALLS = 2000;
/** So much of life is led after a failure, which is enough to see that it goes on. */
const STEPS_AFTER = 5;

const SIZES = [
  ["chunks of one size", CHUNK_BYTES],
  ["chunks of several", undefined],
] as const;

test.each(SIZES)(
  "out of memory at any one call changes nothing, and the next attempt works: %s",
  {
    timeout: 300_000,
  },
  async (_, chunkBytes) => {
    const refused = new Set<string>();
    let nth = 0;
    do {
      nth += 1;
      const scene = new Scene(chunkBytes);
      double.arm({ nth, result: OUT_OF_MEMORY });
      let failed = LIFE.length;
      for (const [index, step] of LIFE.entries()) {
        if (index > failed + STEPS_AFTER) break;
        const before = scene.snapshot();
        try {
          await step(scene);
        } catch (error) {
          const { code, message } = described(error);
          expect({ nth, index, code, message }).toMatchObject({
            code: index === 0 ? "device_unavailable" : "out_of_memory",
          });
          expect({ nth, index, after: scene.snapshot() }).toEqual({ nth, index, after: before });
          refused.add(message);
          failed = index;
          await step(scene);
        }
      }
      const device = scene.open;
      await scene.close().catch(() => scene.close());
      expect(() => device.observe()).toThrow("closed");
      expect({ nth, counts: double.counts() }).toEqual({ nth, counts: NOTHING });
    } while (double.disarm() && nth < MOST_CALLS);
    expect(nth).toBeGreaterThan(100);
    expect(nth).toBeLessThan(MOST_CALLS);
    // Of all kinds of calls that can be refused, some were.
    for (const call of ["cuMemAddressReserve", "cuMemCreate", "cuMemMap", "cuMemSetAccess", "cuMemUnmap"]) {
      expect([...refused].join()).toContain(call);
    }
  },
);

test.each(SIZES)(
  "a device lost at any one call is refused as lost, closes, and can be opened again: %s",
  {
    timeout: 300_000,
  },
  async (_, chunkBytes) => {
    let nth = 0;
    let fired: boolean;
    do {
      nth += 1;
      const scene = new Scene(chunkBytes);
      double.arm({ nth, result: ILLEGAL_ADDRESS, sticky: true });
      let message: string | undefined;
      for (const [index, step] of LIFE.entries()) {
        try {
          await step(scene);
        } catch (error) {
          const { code, message: text, hint } = described(error);
          expect({ nth, index, code }).toMatchObject({ code: scene.device ? "device_lost" : "device_unavailable" });
          expect(text).toContain("an illegal memory access was encountered (700)");
          if (scene.device) {
            expect(text).toContain("cuda:0 stopped answering");
            expect(hint).toContain("choose cuda:0 again, or another device");
          }
          message = text;
          break;
        }
      }
      if (scene.device && message !== undefined) {
        // Whatever is asked for now, the answer is the same, and the device says so without being asked.
        const again = await failure(() =>
          scene.open.createRegion({ consumer: "more", tag: "more", bytes: CHUNK_BYTES }),
        );
        expect(again).toMatchObject({ code: "device_lost", message });
        expect(scene.open.observe().lost).toBe(message);
      }
      if (scene.device) await scene.close();
      fired = double.disarm();
      expect({ nth, counts: double.counts() }).toEqual({ nth, counts: NOTHING });
    } while (fired && nth < MOST_CALLS);
    expect(nth).toBeGreaterThan(100);

    const scene = new Scene(chunkBytes);
    for (const step of LIFE) await step(scene);
    await scene.close();
    expect(double.counts()).toEqual(NOTHING);
  },
);

test("what is dropped without being closed leaks nothing, whichever call fails", { timeout: 300_000 }, async () => {
  const collect = async () => {
    for (let i = 0; i < 3; i++) {
      if (typeof collectGarbage === "function") collectGarbage();
      await sleep(1);
    }
  };
  const live = async () => {
    const device = addon.openDevice({ name: "cuda:0", capacityBytes: 64 * MIB, chunkBytes: CHUNK_BYTES });
    const region = device.createRegion({ consumer: "dropped", tag: "dropped", bytes: 2 * CHUNK_BYTES });
    await region.resume();
    await region.fill(1);
    await region.release({ mode: "host", destination: "hold" });
    await region.resume();
  };
  let nth = 0;
  do {
    nth += 1;
    double.arm({ nth, result: OUT_OF_MEMORY });
    await live().catch(() => {});
    for (let round = 0; round < 50 && double.counts().contexts > 0; round++) await collect();
    expect({ nth, counts: double.counts() }).toEqual({ nth, counts: NOTHING });
  } while (double.disarm() && nth < MOST_CALLS);
  expect(nth).toBeGreaterThan(50);
});
