/**
 * Release and resume of 1 GiB by chunk size, against malloc, one write per page, and free of as much: both give the
 * physical memory back to the system and take it again. malloc gets 4 KiB pages unless huge ones are asked for, as
 * Tideline's host device does, so it is measured both ways. `hold` keeps it in the pool and only maps it anew. The clock is
 * the receipt's own for Tideline (without the way through JavaScript), the baseline program's for malloc.
 * Then what JavaScript that allocates waits for while memory for a backup is prepared beside it.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { GIB, MIB } from "../../core/units.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { ReleaseDestination } from "../../native/addon.d.ts";
import { startBaseline } from "./baseline.ts";
import { median, report } from "./report.ts";

const BYTES = GIB;
const CHUNKS = [2 * MIB, 16 * MIB, 64 * MIB, 256 * MIB] as const;
const DESTINATIONS: readonly ReleaseDestination[] = ["return", "hold"];
const PAIRS = 7;
const PREPARED_BYTES = 4 * GIB;
/** Each is a mapping of its own, which comes and goes. */
const BUFFERS = { count: 20, bytes: MIB };

const addon = loadAddon();
const baseline = startBaseline();
const mallocMs = { small: [] as number[], huge: [] as number[] };

for (const chunkBytes of CHUNKS) {
  for (const destination of DESTINATIONS) await measure(chunkBytes, destination);
}
report({ name: "malloc_touch_free_1GiB", unit: "ms", samples: mallocMs.small });
report({
  name: "malloc_touch_free_1GiB_huge_pages",
  unit: "ms",
  samples: mallocMs.huge,
  ratio: { to: "the same with small pages, interleaved", value: median(mallocMs.huge) / median(mallocMs.small) },
});
baseline.close();
await measureBesidePreparation();

async function measure(chunkBytes: number, destination: ReleaseDestination): Promise<void> {
  const device = addon.openDevice({ name: "host", capacityBytes: BYTES, chunkBytes });
  const region = device.createRegion({ consumer: "workspace", tag: "bench", bytes: BYTES });
  const releaseMs: number[] = [];
  const resumeMs: number[] = [];
  const bothMs: number[] = [];
  const smallMs: number[] = [];
  const hugeMs: number[] = [];
  await region.resume();
  for (let pair = 0; pair <= PAIRS; pair += 1) {
    await region.fill(pair);
    const released = await region.release({ mode: "discard", destination });
    const resumed = await region.resume();
    const small = await baseline.cycleMilliseconds(BYTES, "small");
    const huge = await baseline.cycleMilliseconds(BYTES, "huge");
    // The first pair warms both up.
    if (pair === 0) continue;
    releaseMs.push(released.milliseconds);
    resumeMs.push(resumed.milliseconds);
    bothMs.push(released.milliseconds + resumed.milliseconds);
    smallMs.push(small);
    hugeMs.push(huge);
  }
  await region.close();
  await device.close();
  mallocMs.small.push(...smallMs);
  mallocMs.huge.push(...hugeMs);
  const settings = { chunkMiB: chunkBytes / MIB, destination };
  const name = `1GiB_${destination}_${chunkBytes / MIB}MiB`;
  report({ name: `release_${name}`, unit: "ms", samples: releaseMs, settings });
  report({ name: `resume_${name}`, unit: "ms", samples: resumeMs, settings });
  report({
    name: `release_resume_${name}`,
    unit: "ms",
    samples: bothMs,
    ratio: { to: "malloc, touch and free of the same, interleaved", value: median(bothMs) / median(smallMs) },
    otherRatio: { to: "the same with huge pages asked for, interleaved", value: median(bothMs) / median(hugeMs) },
    settings,
  });
}

async function measureBesidePreparation(): Promise<void> {
  const device = addon.openDevice({ name: "host", capacityBytes: PREPARED_BYTES });
  const alone: number[] = [];
  const beside: number[] = [];
  const preparationMs: number[] = [];
  for (let pair = 0; pair < PAIRS; pair += 1) {
    await allocateUntil(sleep(100), alone);
    const region = device.createRegion({ consumer: "workspace", tag: "bench", bytes: PREPARED_BYTES });
    const prepared = region.prepareBackup();
    await allocateUntil(prepared, beside);
    preparationMs.push((await prepared).milliseconds);
    await region.close();
  }
  await device.close();
  const settings = { preparedMiB: PREPARED_BYTES / MIB, buffers: BUFFERS.count, bufferMiB: BUFFERS.bytes / MIB };
  report({ name: "allocations_alone", unit: "ms", samples: alone, settings });
  report({
    name: "allocations_beside_a_preparation",
    unit: "ms",
    samples: beside,
    ratio: { to: "alone, in turns", value: median(beside) / median(alone) },
    settings,
  });
  report({ name: "preparation_beside_allocations", unit: "ms", samples: preparationMs, settings });
}

async function allocateUntil(end: Promise<unknown>, milliseconds: number[]): Promise<void> {
  let ended = false;
  void end.finally(() => {
    ended = true;
  });
  while (!ended) {
    const startMs = performance.now();
    for (let count = 0; count < BUFFERS.count; count += 1) new ArrayBuffer(BUFFERS.bytes);
    milliseconds.push(performance.now() - startMs);
    await sleep(1);
  }
}
