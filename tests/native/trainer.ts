/** A trainer in a process of its own (cuda-double/trainer): weights in two allocations, and how it describes them. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Checkpoint } from "../../electron/session/checkpoint.ts";
import type { ForeignWeights } from "../../native/addon.d.ts";
import { compile } from "./cuda-double/cuda-double.ts";
import type { Peer } from "./peer.ts";

export function compileTrainer(program: string): void {
  compile([join(import.meta.dirname, "cuda-double/trainer/trainer.cc")], program, []);
}

/** What the program is started with: a file of the tensors' bytes, and where its second allocation begins. */
export interface LaidOut {
  readonly file: string;
  readonly split: number;
  readonly tensors: ForeignWeights["tensors"];
}

/** The tensors' bytes in a file, each where its allocation has it. */
export async function layOut(checkpoint: Checkpoint, folder: string): Promise<LaidOut> {
  const parts: Uint8Array[] = [];
  const tensors: ForeignWeights["tensors"][number][] = [];
  let [position, split] = [0, 0];
  for (const { name, dtype, shape, file, offset, bytes } of checkpoint.tensors) {
    if (split === 0 && tensors.length * 2 > checkpoint.tensors.length) split = position;
    parts.push((await readFile(file)).subarray(offset, offset + bytes));
    const allocation = split === 0 ? 0 : 1;
    tensors.push({ name, dtype, shape, bytes, allocation, offset: position - split });
    position += bytes;
  }
  const file = join(folder, "weights");
  await writeFile(file, Buffer.concat(parts));
  return { file, split, tensors };
}

/** After it was started. */
export async function describedBy(trainer: Peer, { tensors }: LaidOut): Promise<ForeignWeights> {
  const uuid = await trainer.line();
  const allocations = [await trainer.line(), await trainer.line()];
  return { device: { uuid }, allocations, tensors };
}
