/**
 * The safetensors header: eight bytes of length, then JSON that says where each tensor lies. Accepts exactly what the
 * format's own reader accepts (https://github.com/huggingface/safetensors#format): data that is covered without holes
 * or overlaps, sizes that agree with shapes. Bytes in, plain data out; reading files is electron/session's business.
 */
import { z } from "zod";
import { TidelineError } from "../errors.ts";
import { type FieldPath, refusal, shown } from "../input/fault.ts";
import { isJsonObject, parseJsonObject } from "../input/json.ts";
import { parseWith } from "../input/schema-fault.ts";
import { checkpointFile } from "./checkpoint-file.ts";

/** Length field in front of the header. */
export const LENGTH_BYTES = 8;
/** The format's own bound. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Bits per element. Others are kept as they are: the engine refuses them by tensor name. */
const DTYPE_BITS: Readonly<Record<string, number>> = {
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  BOOL: 8,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  U16: 16,
  I16: 16,
  F16: 16,
  BF16: 16,
  U32: 32,
  I32: 32,
  F32: 32,
  U64: 64,
  I64: 64,
  F64: 64,
  C64: 64,
};

/** One tensor of a file. `offset` counts from the start of the file, not of the data. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** In the order of their data. */
  readonly tensors: readonly TensorEntry[];
  readonly metadata: Readonly<Record<string, string>>;
}

const size = z.int({ error: "must be a whole number below 2^53" }).min(0);
const entrySchema = z.strictObject({
  dtype: z.string().regex(/^\w+$/, { error: "must be the name of a dtype" }),
  shape: z.array(size),
  data_offsets: z.tuple([size, size], { error: "must be a list of two whole numbers: begin and end" }),
});

/**
 * Bytes of the JSON header, from the first eight bytes of a file.
 * @throws TidelineError checkpoint_invalid when they are missing, past the format's bound or past the end of the file.
 */
export function headerBytes(start: Uint8Array, fileBytes: number, file: string): number {
  if (start.byteLength < LENGTH_BYTES || fileBytes < LENGTH_BYTES) {
    throw invalid(file, ["header"], `is cut short: the file has ${fileBytes} bytes and a header needs more than 8`);
  }
  const length = new DataView(start.buffer, start.byteOffset, LENGTH_BYTES).getBigUint64(0, true);
  const beginning = String.fromCharCode(...start.subarray(0, LENGTH_BYTES));
  if (/^[\t\n\r -~]*$/.test(beginning)) throw notWeights(file, beginning);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw invalid(file, ["header"], `claims ${length} bytes, the format allows ${MAX_HEADER_BYTES}`);
  }
  if (length > BigInt(fileBytes - LENGTH_BYTES)) {
    throw invalid(file, ["header"], `claims ${length} bytes, but the file has only ${fileBytes}`);
  }
  return Number(length);
}

/** Text where the length is: what a download or a clone leaves when it did not get the weights themselves. */
function notWeights(file: string, beginning: string): TidelineError {
  const source = checkpointFile(file);
  if (beginning !== "version ") {
    return refusal(source, { path: [], message: `is text, not safetensors: it begins with ${shown(beginning)}` });
  }
  const hint = "Run `git lfs pull` in its folder, or download the file itself.";
  return refusal(source, { path: [], message: "is a pointer of Git LFS, not the weights themselves", hint });
}

/**
 * The tensors that a header lists.
 * @param json the header without its length field, as bytes; `fileBytes` the size of the whole file.
 * @throws TidelineError checkpoint_invalid that names the file and the tensor or field.
 */
export function parseHeader(json: Uint8Array, fileBytes: number, file: string): SafetensorsHeader {
  const { __metadata__: metadata, ...entries } = parseJsonObject(decodeUtf8(json, file), checkpointFile(file), {
    refuseDuplicates: true,
    part: "header",
  });
  const dataStart = LENGTH_BYTES + json.byteLength;
  const tensors = Object.entries(entries).map(([name, value]) => parseEntry(name, value, dataStart, file));
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  checkCoverage(tensors, dataStart, fileBytes, file);
  return { tensors, metadata: parseMetadata(metadata, file) };
}

/** A tensor to be written: its data follows the header in the order given. */
export interface TensorShape {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

/**
 * Length field and JSON for tensors laid back to back in the order given, padded with spaces so that the data starts
 * at a multiple of eight bytes.
 * @throws TidelineError bad_argument for a dtype the format does not have or a name given twice.
 */
export function makeHeader(
  tensors: readonly TensorShape[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  let end = 0;
  const entries = new Map<string, unknown>([["__metadata__", metadata]]);
  for (const { name, dtype, shape } of tensors) {
    const bytes = tensorBytes(dtype, shape);
    if (bytes === undefined || !Number.isSafeInteger(bytes) || entries.has(name)) {
      throw new TidelineError({
        code: "bad_argument",
        message: `cannot write tensor ${name} (${dtype} [${shape}])`,
        tensor: name,
      });
    }
    entries.set(name, { dtype, shape, data_offsets: [end, end + bytes] });
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const paddedBytes = Math.ceil(json.byteLength / LENGTH_BYTES) * LENGTH_BYTES;
  const header = new Uint8Array(LENGTH_BYTES + paddedBytes).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(paddedBytes), true);
  header.set(json, LENGTH_BYTES);
  return header;
}

/** Bytes of a tensor; undefined for a dtype the format does not have. May be past 2^53, or a fraction for F4 and F6. */
export function tensorBytes(dtype: string, shape: readonly number[]): number | undefined {
  const bits = Object.hasOwn(DTYPE_BITS, dtype) ? DTYPE_BITS[dtype] : undefined;
  return bits === undefined ? undefined : (shape.reduce((product, size) => product * size, 1) * bits) / 8;
}

function decodeUtf8(json: Uint8Array, file: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(json);
  } catch (cause) {
    throw refusal(checkpointFile(file), { path: ["header"], message: "is not UTF-8 text" }, { cause });
  }
}

function parseEntry(name: string, value: unknown, dataStart: number, file: string): TensorEntry {
  if (name === "" || name.includes("\0")) throw invalid(file, ["header"], "has a tensor with no usable name", name);
  const { dtype, shape, data_offsets } = parseWith(entrySchema, value, (fault) =>
    refusal(checkpointFile(file), { ...fault, path: [name, ...fault.path] }, { tensor: name }),
  );
  const [begin, end] = data_offsets;
  if (begin > end)
    throw invalid(file, [name, "data_offsets"], `is [${begin},${end}]: its end lies before its begin`, name);
  const bytes = end - begin;
  const shapeBytes = tensorBytes(dtype, shape);
  if (shapeBytes !== undefined && !(shapeBytes <= Number.MAX_SAFE_INTEGER)) {
    throw invalid(file, [name, "shape"], `is [${shape}], which overflows: more than 2^53 bytes`, name);
  }
  if (shapeBytes !== undefined && shapeBytes !== bytes) {
    throw invalid(file, [name, "data_offsets"], `span ${bytes} bytes, but ${dtype} [${shape}] has ${shapeBytes}`, name);
  }
  return { name, dtype, shape, file, offset: dataStart + begin, bytes };
}

/** The format allows neither overlaps nor holes nor bytes after the last tensor. */
function checkCoverage(tensors: readonly TensorEntry[], dataStart: number, fileBytes: number, file: string): void {
  let end = dataStart;
  for (const tensor of tensors) {
    if (tensor.offset !== end) {
      const problem = tensor.offset < end ? "overlaps the tensor before it" : "leaves a hole before it";
      throw invalid(file, [tensor.name, "data_offsets"], problem, tensor.name);
    }
    end += tensor.bytes;
  }
  if (end === fileBytes) return;
  throw end > fileBytes
    ? invalid(
        file,
        ["data"],
        `is cut short: the header describes ${end} bytes, the file has ${fileBytes}`,
        tensors.at(-1)?.name,
      )
    : invalid(file, ["data"], `has ${fileBytes - end} bytes that no tensor covers`);
}

function parseMetadata(metadata: unknown, file: string): Readonly<Record<string, string>> {
  if (metadata === undefined) return {};
  // As it was read, not zod's copy of it, which has no key "__proto__".
  if (isTextRecord(metadata)) return metadata;
  throw invalid(file, ["__metadata__"], "must map text to text");
}

function isTextRecord(value: unknown): value is Readonly<Record<string, string>> {
  return isJsonObject(value) && Object.values(value).every((text) => typeof text === "string");
}

function invalid(file: string, path: FieldPath, message: string, tensor?: string): TidelineError {
  return refusal(checkpointFile(file), { path, message }, { tensor });
}
