/** Checkpoints for tests of swapping: the demo's shape with other weights, so that it says something else. */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

export const DEMO = resolve("assets/demo");
/** Of another shape than the demo. */
export const OTHER_SHAPE = resolve("tests/fixtures/checkpoints/tiny-qwen2-tied");

/** A copy of the demo below `directory` in which every 64th weight has the other sign. */
export function makeSibling(directory: string, name: string): string {
  const folder = join(directory, name);
  mkdirSync(folder, { recursive: true });
  cpSync(DEMO, folder, { recursive: true });
  const file = join(folder, "model.safetensors");
  const bytes = readFileSync(file);
  const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
  // bfloat16, little endian: the sign is the top bit of the second byte.
  for (let offset = dataStart + 1; offset < bytes.length; offset += 2 * 64) bytes[offset] = (bytes[offset] ?? 0) ^ 0x80;
  writeFileSync(file, bytes);
  return folder;
}
