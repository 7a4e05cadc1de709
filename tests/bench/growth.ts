/**
 * What is not given back. 10,000 release and resume cycles after a warm-up, then 200 PPO steps of the demo: the resident
 * memory of the process, by the system's count and after JavaScript's garbage was collected, must not grow with them. A
 * leak of one page per cycle would be 39 MiB. run.mjs keeps V8's young generation at one size: it grows by itself with what a
 * program allocates, whether that lives or not, and would hide what is lost.
 */
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { MIB } from "../../core/units.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { ReleaseDestination } from "../../native/addon.d.ts";
import { ALL, openDemo, step, withRun } from "./demo.ts";
import { report } from "./report.ts";

const WARM_UP_CYCLES = 3000;
const LEGS = 10;
const CYCLES_PER_LEG = 1000;
const REGION_BYTES = 16 * MIB;
const CHUNK_BYTES = 2 * MIB;

/** PPO steps after which memory is read; the first two take what a run takes. */
const STEPS = [2, 50, 100, 150, 200] as const;

for (const destination of ["return", "hold"] as const) await measure(destination);
await measureSteps();

async function measure(destination: ReleaseDestination): Promise<void> {
  const device = loadAddon().openDevice({ name: "host", capacityBytes: REGION_BYTES, chunkBytes: CHUNK_BYTES });
  const region = device.createRegion({ consumer: "workspace", tag: "bench", bytes: REGION_BYTES });
  const cycle = async (times: number): Promise<void> => {
    for (let count = 0; count < times; count += 1) {
      await region.resume();
      await region.release({ mode: "discard", destination });
    }
  };
  await cycle(WARM_UP_CYCLES);
  const growth: number[] = [];
  const first = await residentBytes();
  let before = first;
  for (let leg = 0; leg < LEGS; leg += 1) {
    await cycle(CYCLES_PER_LEG);
    const after = await residentBytes();
    growth.push(after - before);
    before = after;
  }
  await region.close();
  await device.close();
  const settings = { regionMiB: REGION_BYTES / MIB, chunkMiB: CHUNK_BYTES / MIB, destination };
  report({ name: `resident_growth_per_1000_cycles_${destination}`, unit: "bytes", samples: growth, settings });
  report({ name: `resident_growth_10000_cycles_${destination}`, unit: "bytes", samples: [before - first], settings });
}

async function measureSteps(): Promise<void> {
  const workload = await openDemo("rule");
  await withRun(workload, ALL, async (started) => {
    let done = 0;
    let first: { readonly resident: number; readonly living: number } | undefined;
    for (const until of STEPS) {
      await step(started, until - done);
      done = until;
      const now = { resident: await residentBytes(), living: process.memoryUsage().heapUsed };
      first ??= now;
      for (const [what, bytes, before] of [
        ["resident", now.resident, first.resident],
        ["living_javascript", now.living, first.living],
      ] as const) {
        report({
          name: `ppo_${what}_after_${until}_steps`,
          unit: "MiB",
          samples: [bytes / MIB],
          ratio: { to: `after ${STEPS[0]} steps`, value: bytes / before },
        });
      }
    }
  });
}

/** Without the pages of files, programs' own among them: the kernel drops those and reads them again as it likes. */
async function residentBytes(): Promise<number> {
  // What is collected lets go of native memory only when its finalisers have run.
  for (let pass = 0; pass < 3; pass += 1) {
    globalThis.gc?.();
    await setImmediate();
  }
  const status = readFileSync("/proc/self/status", "utf8");
  const kibibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]);
  return (kibibytes("RssAnon") + kibibytes("RssShmem")) * 1024;
}
