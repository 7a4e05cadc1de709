/** Memory of a GPU comes in larger pieces than what is sized for the host may ask for. */
import { MIB } from "./units.ts";

/** The least that a GPU's driver maps at once. */
const LEAST_BYTES = 2 * MIB;

/** A capacity, and the size of the pieces that memory is mapped in; left out, whatever the device takes. */
export interface Pieces {
  readonly capacityBytes: number;
  readonly chunkBytes?: number | undefined;
}

/** The same on a GPU: every consumer takes a piece at least, so the capacity grows as much as the pieces do. */
export function inPiecesOfGpu<Sizes extends Pieces>(sizes: Sizes): Sizes {
  const { capacityBytes, chunkBytes = LEAST_BYTES } = sizes;
  if (chunkBytes >= LEAST_BYTES) return sizes;
  return { ...sizes, capacityBytes: Math.ceil(capacityBytes * (LEAST_BYTES / chunkBytes)), chunkBytes: LEAST_BYTES };
}
