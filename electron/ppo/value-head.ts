/** The value head of critics and reward models, as a tensor in a file. */
import { writeFile } from "node:fs/promises";
import { makeHeader, type TensorShape } from "../../core/checkpoint/safetensors.ts";

export const VALUE_HEAD = "value_head.weight";

/** A tensor of float32 and its values. */
export interface FloatTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

/** Writes one safetensors file. */
export async function writeFloats(file: string, tensors: readonly FloatTensor[]): Promise<void> {
  const header = makeHeader(tensors.map(({ name, shape }): TensorShape => ({ name, shape, dtype: "F32" })));
  const data = tensors.map(({ values }) => new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  await writeFile(file, Buffer.concat([header, ...data]));
}

/** Writes a value head that values everything at nothing: where a critic begins. */
export async function writeValueHead(file: string, hiddenSize: number): Promise<void> {
  await writeFloats(file, [{ name: VALUE_HEAD, shape: [1, hiddenSize], values: new Float32Array(hiddenSize) }]);
}
