/**
 * The float formats of checkpoints, number by number, independent of the engine's own conversions.
 */
import type { DType } from "../../native/addon.d.ts";

/** Floats as safetensors stores them (F32, F16, BF16), rounded to nearest, ties to even. */
export function encodeFloats(values: Float64Array, dtype: string): Uint8Array {
  if (dtype === "F32") return new Uint8Array(Float32Array.from(values).buffer);
  return new Uint8Array(Uint16Array.from(values, dtype === "BF16" ? toBfloat16 : toFloat16).buffer);
}

/** Exact: every stored float is a float64. */
export function decodeFloats(bytes: Uint8Array, dtype: string): Float64Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (dtype === "F32") return Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
  const value = dtype === "BF16" ? fromBfloat16 : fromFloat16;
  return Float64Array.from({ length: bytes.length / 2 }, (_, i) => value(view.getUint16(2 * i, true)));
}

/** `value` as `dtype` holds it; as it is without one. */
export function roundTo(dtype: DType | undefined, value: number): number {
  switch (dtype) {
    case undefined:
      return value;
    case "float32":
      return Math.fround(value);
    case "float16":
      return fromFloat16(toFloat16(Math.fround(value)));
    case "bfloat16":
      return fromBfloat16(toBfloat16(value));
  }
}

const scratch = new DataView(new ArrayBuffer(4));

function toBfloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function fromBfloat16(bits: number): number {
  scratch.setUint32(0, bits << 16);
  return scratch.getFloat32(0);
}

/** Within +-65504, which no weight here leaves. */
function toFloat16(value: number): number {
  const magnitude = Math.abs(value);
  // Steps of the format around this magnitude: 2^-10 of its power of two, never finer than the smallest subnormal.
  const exponent = magnitude === 0 ? -14 : Math.max(-14, Math.floor(Math.log2(magnitude)));
  const steps = roundTiesToEven(magnitude / 2 ** (exponent - 10));
  // Exponent -14 without the hidden bit is the subnormal range, and a carry moves into the exponent by itself.
  return (value < 0 ? 0x8000 : 0) | (steps + (exponent + 14) * 1024);
}

function fromFloat16(bits: number): number {
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  const magnitude = exponent === 0 ? fraction * 2 ** -24 : (1 + fraction / 1024) * 2 ** (exponent - 15);
  return bits & 0x8000 ? -magnitude : magnitude;
}

function roundTiesToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
