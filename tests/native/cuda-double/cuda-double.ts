/**
 * Doubles of libcuda.so.1 and libnvidia-ml.so.1 for machines without a GPU: built, put in the addon's way, told what to
 * refuse, and asked what they gave out. What they share with this file is laid out in board.h.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readdirSync, readSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MIB } from "../../../core/units.ts";
import { builtOnce } from "./built-once.ts";

export const OUT_OF_MEMORY = 2;
export const NOT_SUPPORTED = 801;
/** After which a real context answers nothing else. */
export const ILLEGAL_ADDRESS = 700;

const HEADER_BYTES = 128;
const PROCESS_BYTES = 128;
const PROCESSES = 16;
const CALLS_OFFSET = 64;
const UNADMITTED_OFFSET = 72;
const CALL_NAME_OFFSET = 24;
const CALL_NAME_BYTES = 40;

/** What this process has of the cards, and has not given back. */
export interface Counts {
  readonly bytes: number;
  readonly allocations: number;
  readonly mappings: number;
  readonly reservations: number;
  readonly contexts: number;
  readonly currentContexts: number;
  readonly streams: number;
  readonly registeredBuffers: number;
}
export const NOTHING: Counts = {
  bytes: 0,
  allocations: 0,
  mappings: 0,
  reservations: 0,
  contexts: 0,
  currentContexts: 0,
  streams: 0,
  registeredBuffers: 0,
};

export interface Fault {
  /** The only call that counts; any but cuMemGetInfo when left out. */
  readonly call?: string;
  /** Counts from 1. */
  readonly nth: number;
  readonly result: number;
  /** All later calls of this process fail too, until it has given its context back. */
  readonly sticky?: boolean;
}

export interface CudaDouble {
  readonly driver: string;
  /** Names both doubles and their board, for child processes. */
  readonly environment: Readonly<Record<string, string>>;
  /** A folder that is gone after `remove`. */
  readonly folder: string;
  arm(fault: Fault): void;
  /** Nothing fails any more. @returns whether something did since `arm`. */
  disarm(): boolean;
  /** Calls that counted since `arm`. */
  calls(): number;
  /** Copies between cards so far whose memory the copying card was not let into: a driver may pass them through the host. */
  unadmittedCopies(): number;
  /** Whether a card can reach another's memory; they can until told otherwise. */
  linkPeers(linked: boolean): void;
  counts(): Counts;
  remove(): void;
}

export interface CudaDoubleOptions {
  /** Device memory can be reached by the driver's copies alone: whoever else touches it ends the process. */
  readonly guarded?: boolean;
  /** How many cards there are: 1 or 2. */
  readonly devices?: number;
  /** What chunks are multiples of: as on a real card, unless smaller ones serve as well and are to cost less. */
  readonly granularityBytes?: number;
  /** Another double of the driver than the one that is built of this folder. */
  readonly driver?: string;
}

/** Builds the doubles and makes the addon of this process use them. */
export async function installCudaDouble(options: CudaDoubleOptions = {}): Promise<CudaDouble> {
  const { guarded = false, devices = 1, granularityBytes = 2 * MIB } = options;
  const driver = options.driver ?? (await library("libcuda-double.so", import.meta.dirname));
  const nvml = await library("libnvml-double.so", join(import.meta.dirname, "nvml"));
  const folder = mkdtempSync(join(tmpdir(), "tideline-cuda-"));
  const boardFile = join(folder, "board");
  writeFileSync(boardFile, Buffer.alloc(HEADER_BYTES + PROCESSES * PROCESS_BYTES));
  const board = openSync(boardFile, "r+");
  const environment = {
    TIDELINE_CUDA_DRIVER: driver,
    TIDELINE_NVML_LIBRARY: nvml,
    TIDELINE_DOUBLE_BOARD: boardFile,
    TIDELINE_DOUBLE_DEVICES: String(devices),
    TIDELINE_DOUBLE_GRANULARITY: String(granularityBytes),
    ...(guarded && { TIDELINE_DOUBLE_GUARDED: "1" }),
  };
  Object.assign(process.env, environment);
  const read = (offset: number, bytes: number): Buffer => {
    const buffer = Buffer.alloc(bytes);
    readSync(board, buffer, 0, bytes, offset);
    return buffer;
  };
  const number = (offset: number) => Number(read(offset, 8).readBigInt64LE());
  let armed = false;
  return {
    driver,
    environment,
    folder,
    arm({ call = "", nth, result, sticky = false }) {
      const header = Buffer.alloc(CALLS_OFFSET + 8);
      header.writeBigInt64LE(BigInt(nth), 0);
      header.writeBigInt64LE(BigInt(result), 8);
      header.writeBigInt64LE(sticky ? 1n : 0n, 16);
      header.write(call, CALL_NAME_OFFSET, CALL_NAME_BYTES - 1, "ascii");
      writeSync(board, header, 0, header.length, 0);
      armed = true;
    },
    disarm() {
      const fired = armed && number(0) === 0;
      writeSync(board, Buffer.alloc(8), 0, 8, 0);
      armed = false;
      return fired;
    },
    calls: () => number(CALLS_OFFSET),
    unadmittedCopies: () => number(UNADMITTED_OFFSET),
    linkPeers(linked) {
      process.env.TIDELINE_DOUBLE_PEERS = linked ? "1" : "0";
    },
    counts() {
      for (let i = 0; i < PROCESSES; i++) {
        const slot = read(HEADER_BYTES + i * PROCESS_BYTES, PROCESS_BYTES);
        const column = (index: number) => Number(slot.readBigInt64LE(8 * index));
        if (column(0) !== process.pid) continue;
        return {
          bytes: column(1),
          allocations: column(2),
          mappings: column(3),
          reservations: column(4),
          contexts: column(5),
          currentContexts: column(6),
          streams: column(7),
          registeredBuffers: column(8),
        };
      }
      return NOTHING;
    },
    remove() {
      closeSync(board);
      rmSync(folder, { recursive: true });
    },
  };
}

function library(name: string, folder: string): Promise<string> {
  return builtOnce(name, async (output) => compile(sourcesIn(folder), output, ["-shared"]));
}

/** With the compiler of CXX, or the system's. */
export function compile(sources: readonly string[], output: string, flags: readonly string[]): void {
  const common = ["-std=c++20", "-Wall", "-Wextra", "-fPIC", "-fvisibility=hidden", "-pthread"];
  execFileSync(process.env.CXX ?? "c++", [...common, ...flags, ...sources, "-o", output, "-ldl"]);
}

function sourcesIn(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".cc"))
    .map((file) => join(folder, file));
}
