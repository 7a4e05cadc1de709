/**
 * Ways in which a checkpoint folder can be damaged, by accident or on purpose. Each takes the files of a valid folder
 * and gives other files; what is not given is as it was.
 */
import type { Random } from "./random.ts";

/** Files by name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** A changed file; undefined: it is gone; "folder": a folder of that name lies in its place. */
export type Damage = ReadonlyMap<string, Uint8Array | "folder" | undefined>;

const LENGTH_BYTES = 8;

/** Values at which sizes, signs and types go wrong. */
const STRANGE = [
  0,
  1,
  -1,
  2,
  3,
  7,
  0.5,
  255,
  256,
  65535,
  65536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 63,
  1e308,
  -(2 ** 31),
  "",
  "7",
  "F32",
  "../x.safetensors",
  null,
  true,
  false,
  [],
  [1],
  {},
  [[]],
  { a: 1 },
] as const;

export const DAMAGES: Readonly<Record<string, (files: Files, random: Random) => Damage>> = {
  "flipped bytes": (files, random) => {
    const [name, bytes] = anyFile(files, random);
    const flipped = Uint8Array.from(bytes);
    // Half of the flips hit the first kilobyte, where the meaning is.
    const reach = random.unit() < 0.5 ? Math.min(1024, bytes.length) : bytes.length;
    for (let flips = 1 + random.below(8); flips > 0; flips--) {
      const at = random.below(reach);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    }
    return new Map([[name, flipped]]);
  },
  "flipped weights": (files, random) => {
    const [name, bytes] = weightsFile(files, random);
    const flipped = Uint8Array.from(bytes);
    const dataStart = headerEnd(bytes);
    for (let flips = 1 + random.below(64); flips > 0; flips--) {
      const at = dataStart + random.below(bytes.length - dataStart);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << random.below(8));
    }
    return new Map([[name, flipped]]);
  },
  truncated: (files, random) => {
    const [name, bytes] = anyFile(files, random);
    return new Map([[name, bytes.subarray(0, random.below(bytes.length))]]);
  },
  extended: (files, random) => {
    const [name, bytes] = anyFile(files, random);
    return new Map([[name, concat(bytes, random.bytes(1 + random.below(64)))]]);
  },
  "a lying header length": (files, random) => {
    const [name, bytes] = weightsFile(files, random);
    const lying = Uint8Array.from(bytes);
    const view = new DataView(lying.buffer);
    const truth = view.getBigUint64(0, true);
    const lie = random.pick([
      0n,
      1n,
      truth - 1n,
      truth + 1n,
      truth + 8n,
      BigInt(bytes.length),
      100_000_001n,
      2n ** 32n,
      2n ** 63n,
      2n ** 64n - 1n,
    ]);
    view.setBigUint64(0, BigInt.asUintN(64, lie), true);
    return new Map([[name, lying]]);
  },
  "lies in the header": (files, random) => {
    const [name, bytes] = weightsFile(files, random);
    return new Map([[name, withHeader(bytes, (header) => JSON.stringify(lieAbout(JSON.parse(header), random)))]]);
  },
  "header text cut or doubled": (files, random) => {
    const [name, bytes] = weightsFile(files, random);
    return new Map([[name, withHeader(bytes, (header) => damageText(header, random))]]);
  },
  "a strange config": (files, random) => {
    const config = JSON.parse(asText(files.get("config.json")));
    replaceOne(random.unit() < 0.25 ? config.rope_parameters : config, random);
    return new Map([["config.json", asBytes(JSON.stringify(config))]]);
  },
  "config text cut or doubled": (files, random) =>
    new Map([["config.json", asBytes(damageText(asText(files.get("config.json")), random))]]),
  "a strange index": (files, random) => {
    const name = "model.safetensors.index.json";
    const index = JSON.parse(asText(files.get(name) ?? asBytes('{"weight_map":{"x":"model.safetensors"}}')));
    replaceOne(random.unit() < 0.1 ? index : index.weight_map, random);
    return new Map<string, Uint8Array>([[name, asBytes(JSON.stringify(index))]]);
  },
  "a file missing": (files, random) => new Map([[anyFile(files, random)[0], undefined]]),
  "a folder for a file": (files, random) => new Map([[anyFile(files, random)[0], "folder"]]),
};

/** Changes, drops or renames one property; objects that JSON.parse made are changed in place. */
export function replaceOne<T extends object>(target: T, random: Random): T {
  const object = target as Record<string, unknown>;
  const key = random.pick(Object.keys(object)) ?? "x";
  const value = object[key];
  const choice = random.unit();
  if (choice < 0.1) delete object[key];
  else if (choice < 0.2) {
    delete object[key];
    object[random.pick([`${key}x`, "", "__proto__", "constructor"])] = value;
  } else if (choice < 0.5 && typeof value === "number") object[key] = nearby(value, random);
  else object[key] = random.pick(STRANGE);
  return target;
}

/** A number that is nearly right: what a careless check lets through. */
export function nearby(value: number, random: Random): number {
  return random.pick([value + 1, value - 1, value * 2, value / 2, -value, value + 2 ** 32, value * 2 ** 20]);
}

function lieAbout(header: Record<string, unknown>, random: Random): unknown {
  const name = random.pick(Object.keys(header)) ?? "x";
  const entry = header[name];
  if (random.unit() < 0.2 || !isEntry(entry)) return replaceOne(header, random);
  const list = random.pick(["shape", "data_offsets"] as const);
  if (random.unit() < 0.5 && entry[list].length > 0) {
    const at = random.below(entry[list].length);
    entry[list][at] = random.unit() < 0.5 ? nearby(entry[list][at] ?? 0, random) : Number(random.pick(STRANGE));
  } else replaceOne(entry, random);
  return header;
}

function isEntry(value: unknown): value is { shape: number[]; data_offsets: number[] } {
  return typeof value === "object" && value !== null && "shape" in value && "data_offsets" in value;
}

/** Replaces the header and its length, and keeps the data. */
function withHeader(file: Uint8Array, change: (header: string) => string): Uint8Array {
  const end = headerEnd(file);
  const header = asBytes(change(asText(file.subarray(LENGTH_BYTES, end))));
  const lengthBytes = new Uint8Array(LENGTH_BYTES);
  new DataView(lengthBytes.buffer).setBigUint64(0, BigInt(header.length), true);
  return concat(lengthBytes, header, file.subarray(end));
}

function headerEnd(file: Uint8Array): number {
  return LENGTH_BYTES + Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true));
}

function damageText(text: string, random: Random): string {
  const begin = random.below(text.length);
  const end = Math.min(text.length, begin + 1 + random.below(24));
  const piece = text.slice(begin, end);
  const other = random.pick([
    "",
    piece + piece,
    "\0",
    '"',
    "{",
    "[".repeat(5000),
    "9".repeat(400),
    "-",
    "\uFEFF",
    "1e999",
  ]);
  return text.slice(0, begin) + other + text.slice(end);
}

function anyFile(files: Files, random: Random): [string, Uint8Array] {
  const [name, bytes] = random.pick([...files]) ?? ["config.json", new Uint8Array()];
  return [name, bytes];
}

function weightsFile(files: Files, random: Random): [string, Uint8Array] {
  return anyFile(new Map([...files].filter(([name]) => name.endsWith(".safetensors"))), random);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function asText(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("utf8");
}

function asBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "utf8"));
}
