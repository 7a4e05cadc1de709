/**
 * 10,000 release and resume cycles after a warm-up: the resident memory of the process, by the system's count and after
 * JavaScript's garbage was collected, must not grow with them. A leak of one page per cycle would be 39 MiB.
 */
import { readFileSync } from "node:fs";
import { MIB } from "../../core/units.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { ReleaseDestination } from "../../native/addon.d.ts";
import { report } from "./report.ts";

const WARM_UP_CYCLES = 3000;
const LEGS = 10;
const CYCLES_PER_LEG = 1000;
const REGION_BYTES = 16 * MIB;
const CHUNK_BYTES = 2 * MIB;

for (const destination of ["return", "hold"] as const) await measure(destination);

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
  const first = residentBytes();
  let before = first;
  for (let leg = 0; leg < LEGS; leg += 1) {
    await cycle(CYCLES_PER_LEG);
    const after = residentBytes();
    growth.push(after - before);
    before = after;
  }
  await region.close();
  await device.close();
  const settings = { regionMiB: REGION_BYTES / MIB, chunkMiB: CHUNK_BYTES / MIB, destination };
  report({ name: `resident_growth_per_1000_cycles_${destination}`, unit: "bytes", samples: growth, settings });
  report({ name: `resident_growth_10000_cycles_${destination}`, unit: "bytes", samples: [before - first], settings });
}

function residentBytes(): number {
  globalThis.gc?.();
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return Number(kibibytes) * 1024;
}
