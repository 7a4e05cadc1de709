/**
 * What is not given back. 10,000 release and resume cycles after a warm-up, then 200 PPO steps of the demo: the resident
 * memory of the process, by the system's count and after JavaScript's garbage was collected, must not grow with them. A
 * leak of one page per cycle would be 39 MiB. run.mjs keeps V8's young generation at one size: it grows by itself with what a
 * program allocates, whether that lives or not, and would hide what is lost. So would an arena of the C library for every
 * thread: there is one for all, as `npm start` has it. What the steps add is told apart: objects that
 * live, the recordings that are wanted among them; pages that V8 has, its compiled code among them; and the rest, native.
 */
import { readFileSync } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { getHeapStatistics } from "node:v8";
import { MIB } from "../../core/units.ts";
import type { ExecutedStep } from "../../electron/ppo/records.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { ReleaseDestination } from "../../native/addon.d.ts";
import { ALL, openDemo, step, withRun } from "./demo.ts";
import { report } from "./report.ts";

const WARM_UP_CYCLES = 3000;
const LEGS = 10;
const CYCLES_PER_LEG = 1000;
const REGION_BYTES = 16 * MIB;
const CHUNK_BYTES = 2 * MIB;

/** PPO steps after which memory is read: the first two take what a run takes. */
const STEPS = [2, 20, 50, 100, 150, 200] as const;
/** Of a run before that one, in the same process: V8 compiles the loop in them, and compiled code is no leak. */
const COMPILING_STEPS = 50;

/** Of StepsMemory, as they are reported. */
const PARTS = ["resident", "living_javascript", "javascript_pages", "native"] as const;

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
  await withRun(workload, ALL, (started) => step(started, COMPILING_STEPS));
  await withRun(workload, ALL, async (started) => {
    const seen = new Map<number, StepsMemory>();
    let done = 0;
    for (const until of STEPS) {
      await step(started, until - done);
      done = until;
      seen.set(until, await memoryNow());
    }
    for (const [steps, memory] of seen) reportSteps(`after_${steps}_steps`, memory, seen);

    const { steps } = started.run.records;
    // Nothing but this bench wants them gone.
    (steps as ExecutedStep[]).length = 0;
    reportSteps(`after_${done}_steps_without_recordings`, await memoryNow(), seen);
  });
}

interface StepsMemory {
  readonly resident: number;
  /** What lives in JavaScript. */
  readonly living_javascript: number;
  /** All that V8 has from the system for it: what lives, what it compiled, and room between them. */
  readonly javascript_pages: number;
  readonly native: number;
}

async function memoryNow(): Promise<StepsMemory> {
  const resident = await residentBytes();
  const { used_heap_size: living, total_physical_size: pages } = getHeapStatistics();
  return { resident, living_javascript: living, javascript_pages: pages, native: resident - pages };
}

function reportSteps(when: string, memory: StepsMemory, seen: ReadonlyMap<number, StepsMemory>): void {
  const [first] = STEPS;
  for (const part of PARTS) {
    const value = memory[part] / (seen.get(first)?.[part] ?? Number.NaN);
    report({
      name: `ppo_${part}_${when}`,
      unit: "MiB",
      samples: [memory[part] / MIB],
      ratio: { to: `after ${first} steps`, value },
    });
  }
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
