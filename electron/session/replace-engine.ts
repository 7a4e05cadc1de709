/**
 * Puts a new engine in the place of an old one so that a failure leaves the old one as it was. Where both fit, the new
 * one is built beside the old; where they do not, the old one's memory is released step by step, as late as possible
 * and never without a way back: caches are dropped, weights go to host memory. Whatever was released is resumed when
 * the new engine fails after all.
 */
import { ENGINE_TAGS, type EngineTag, engineConsumer } from "../../core/consumers.ts";
import { TidelineError } from "../../core/errors.ts";
import { formatBytes } from "../../core/units.ts";
import type { LongOperation, NativeDevice, NativeEngine, Receipt, TidelineAddon } from "../../native/addon.d.ts";
import type { Checkpoint } from "./checkpoint.ts";

export interface Replacement {
  readonly addon: TidelineAddon;
  readonly device: NativeDevice;
  readonly checkpoint: Checkpoint;
  readonly kvCacheBytes: number;
  /** What the device will have when this is done; it may shrink right after. */
  readonly capacityBytes: number;
  /** The engine to replace, when it is on the same device. */
  readonly previous?: NativeEngine;
  readonly operation: LongOperation;
}

/** What is released to make room, in this order: what costs nothing to lose first. */
const SACRIFICES = ["kv_cache", "workspace", "weights"] as const satisfies readonly EngineTag[];

/**
 * Loads the checkpoint into a new engine with all its memory resident, then closes the previous engine.
 * @throws TidelineError or the addon's error; the previous engine is then as it was.
 */
export async function replaceEngine(
  replacement: Replacement,
): Promise<{ readonly engine: NativeEngine; readonly receipt: Receipt }> {
  const { addon, device, checkpoint, kvCacheBytes, previous, operation } = replacement;
  refuseWhatNeverFits(replacement);
  const room = makeRoom(device, previous);
  const model = addon.createModel(device, {
    config: checkpoint.config,
    dtype: checkpoint.dtype,
    consumer: engineConsumer("weights"),
  });
  let discard = () => model.close();
  try {
    const receipt = await room.retrying(() => model.load(checkpoint.tensors, operation));
    const engine = addon.createEngine(device, model, { kvCacheBytes });
    discard = () => engine.close();
    for (const tag of ["kv_cache", "workspace"] as const) await room.retrying(() => engine.resume(tag));
    await previous?.close();
    return { engine, receipt };
  } catch (error) {
    await discard();
    await room.restore();
    throw error;
  }
}

/** Before anything moves: weights and cache that exceed what the device could ever give them. */
function refuseWhatNeverFits({ addon, device, checkpoint, kvCacheBytes, capacityBytes }: Replacement): void {
  const weightBytes = addon.weightBytes(checkpoint.config, checkpoint.dtype);
  const requestedBytes = weightBytes + kvCacheBytes;
  const { regions } = device.observe();
  const ours: ReadonlySet<string> = new Set(ENGINE_TAGS.map(engineConsumer));
  const holders = regions
    .filter(({ consumer, committedBytes }) => committedBytes > 0 && !ours.has(consumer))
    .map(({ consumer, committedBytes }) => ({ consumer, bytes: committedBytes }));
  const freeBytes = holders.reduce((free, { bytes }) => free - bytes, capacityBytes);
  if (requestedBytes <= freeBytes) return;
  throw new TidelineError({
    code: "out_of_memory",
    message:
      `${checkpoint.name} needs ${formatBytes(weightBytes)} for weights and ${formatBytes(kvCacheBytes)} for its KV ` +
      `cache, and ${formatBytes(Math.max(0, freeBytes))} of ${formatBytes(capacityBytes)} can be had`,
    hint: "Raise the capacity, make the KV cache smaller, or unload a model.",
    requestedBytes,
    freeBytes: Math.max(0, freeBytes),
    capacityBytes,
    holders,
  });
}

function makeRoom(device: NativeDevice, previous: NativeEngine | undefined) {
  const sacrifices: EngineTag[] = previous ? [...SACRIFICES] : [];
  const released: EngineTag[] = [];
  // Taken before the new engine's regions, which have the same names, exist.
  const resident = new Map(
    device
      .observe()
      .regions.filter(({ residency }) => residency === "resident")
      .map(({ consumer, contents }) => [consumer, contents]),
  );

  /** Releases the next part of the old engine that is resident; false when there is none left. */
  async function releaseNext(): Promise<boolean> {
    const tag = sacrifices.shift();
    if (tag === undefined || previous === undefined) return false;
    const contents = resident.get(engineConsumer(tag));
    if (contents === undefined) return releaseNext();
    await previous.release(tag, { mode: tag === "weights" && contents === "defined" ? "host" : "discard" });
    released.push(tag);
    return true;
  }

  return {
    /** Runs `action`, and again with more room for as long as it runs out of memory. */
    async retrying<T>(action: () => Promise<T>): Promise<T> {
      for (;;) {
        try {
          return await action();
        } catch (error) {
          if (!isOutOfMemory(error) || !(await releaseNext())) throw error;
        }
      }
    },
    /** Resumes what was released, weights first. */
    async restore(): Promise<void> {
      for (const tag of released.reverse()) await previous?.resume(tag);
    },
  };
}

function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "out_of_memory";
}
