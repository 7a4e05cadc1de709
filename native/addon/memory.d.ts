/** Devices, regions and what is told of them. */
import type { TensorView } from "./tensors.d.ts";

export type Residency = "resident" | "released" | "host" | "disk" | "shared";
export type Contents = "defined" | "undefined";
/** `clean`: unchanged since its last backup, nothing is copied; an error (`not_clean`) when it did change. */
export type ReleaseMode = "discard" | "host" | "disk" | "clean";
/** Released chunks stay in this process's pool (`hold`) or go back to the device (`return`). */
export type ReleaseDestination = "hold" | "return";

export interface Receipt {
  readonly action: "release" | "resume" | "load" | "swap" | "prepare";
  readonly consumer: string;
  /**
   * How it was done.
   * - release: its mode; `clean` when nothing needed copying.
   * - resume: `zero`, or from where the contents came back: `host`, `disk`.
   * - load: `disk`, `copy`, or `master` (from a trainer's float32 copy).
   * - swap: `share`, `copy`, `bucketed`, `disk`, or `ipc` (from another process).
   *
   * A `copy` from another GPU is `peer` (directly) or `staged` (through host memory).
   */
  readonly method: string;
  /** Given back to the device: other processes can have them. */
  readonly bytesFreed: number;
  /** Still held by this process on the device after the action, for this consumer: pool chunks it left behind. */
  readonly bytesRetained: number;
  /** Newly mapped, if only for the action's length: a bucketed swap counts its bucket here and in `bytesFreed`. */
  readonly bytesCommitted: number;
  readonly bytesCopied: number;
  /** Of `prepare`: host memory taken for a backup to come; 0 where it was there. */
  readonly bytesPrepared?: number;
  readonly milliseconds: number;
}

export interface LongOperation {
  /** Called at most ~20 times a second while bytes move. */
  readonly onProgress?: (doneBytes: number, totalBytes: number) => void;
  readonly cancellation?: NativeCancellation;
}

export interface NativeCancellation {
  cancel(): void;
}

export interface ReleaseOptions extends LongOperation {
  readonly mode: ReleaseMode;
  readonly destination?: ReleaseDestination; // "return"
  /** Folder for `disk` backups. */
  readonly directory?: string;
}

export interface RegionObservation {
  readonly consumer: string;
  readonly tag: string;
  readonly residency: Residency;
  readonly contents: Contents;
  readonly reservedBytes: number;
  readonly committedBytes: number;
  readonly usedBytes: number;
  /** First address, as text: it never changes across release and resume. */
  readonly address: string;
  readonly backup?: {
    readonly where: "host" | "disk";
    readonly bytes: number;
    readonly clean: boolean;
    readonly file?: string;
  };
  /** For `shared`: the consumer whose bytes these are. */
  readonly sharedWith?: string;
}

/** How a region is lent to other processes (docs/share-weights.md). */
export interface ShareOptions {
  /** A Unix socket to make, in a folder of this user: only this user's processes can connect. */
  readonly path: string;
}

/** What a borrower is told, as JSON, before it gets one file descriptor per chunk. */
export interface SharedRegion {
  readonly consumer: string;
  readonly tag: string;
  readonly bytes: number;
  /** In order of address: so many chunks of so many bytes, then so many of the next size. */
  readonly chunks: readonly { readonly bytes: number; readonly count: number }[];
  /** `uuid` finds the same device in every process, whatever its number there. */
  readonly device: { readonly name: string; readonly uuid: string };
  /** Of a model: where each tensor lies. */
  readonly tensors?: readonly TensorView[];
}

/**
 * Lends a region until close(), or until this object is garbage: keep it. While a process has it mapped, releasing and
 * closing are refused with `shared`; what it writes counts as a change of the contents.
 */
export interface NativeSharing {
  /** `borrowers`: how many processes have it mapped. */
  observe(): { readonly path: string; readonly borrowers: number };
  /** Ends all loans. The memory of those who do not unmap then is only free once they do. */
  close(): Promise<void>;
}

export interface NativeRegion {
  observe(): RegionObservation;
  /** `discard` on a region in `host` or `disk` gives up its backup: the way out when that is lost. */
  release(options: ReleaseOptions): Promise<Receipt>;
  resume(operation?: LongOperation): Promise<Receipt>;
  /**
   * Takes (and on a GPU pins) host memory for a backup now, in any state, so that the first release to `host` only copies.
   * Beside everything else: the region may be used, released and resumed meanwhile. The memory is kept as that of a backup
   * is. Errors: out_of_memory, device_lost, `cancelled`, also when the region is closed meanwhile; nothing is kept then.
   */
  prepareBackup(operation?: LongOperation): Promise<Receipt>;
  /** Copies bytes in and marks the contents written (a backup is no longer clean). Region must be resident. */
  write(offset: number, bytes: Uint8Array): Promise<void>;
  /** Refused with `contents_undefined` until the region was written. */
  read(offset: number, bytes: number): Promise<Uint8Array>;
  /** One copy on the device of all bytes of another region of this device, of the same size; both must be resident. */
  copyFrom(source: NativeRegion): Promise<Receipt>;
  /**
   * Maps it into other processes with no copy. Borrowers are refused while it is not resident or its contents are undefined.
   * Errors: bad_argument, and `unsupported` on the host device.
   */
  share(options: ShareOptions): NativeSharing;
  /** Fills the whole region with a pattern of `seed`: makes its contents defined. */
  fill(seed: number): Promise<void>;
  /** CRC-32C of the committed bytes, as 8 hex digits. */
  checksum(): Promise<string>;
  /** Frees the address range, the chunks and the backups. */
  close(): Promise<void>;
}

export interface DeviceProbe {
  /** "host" or "cuda:0". */
  readonly name: string;
  readonly description: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** Why it cannot be used, e.g. the driver is missing. */
  readonly problem?: string;
  readonly driverVersion?: string;
}

export interface DeviceObservation {
  readonly name: string;
  readonly description: string;
  /** With what words work on it is refused, as `device_lost`, since the device was lost. Closing still works. */
  readonly lost?: string;
  /** What regions may commit. */
  readonly capacityBytes: number;
  /** A region's size is a multiple of it. A GPU's regions are made of larger chunks where they can, up to 2 GiB. */
  readonly chunkBytes: number;
  /** Mapped by regions. */
  readonly committedBytes: number;
  /** In the pool, mapped by nobody. */
  readonly heldBytes: number;
  /** capacity - committed - held. */
  readonly freeBytes: number;
  /** What was there before the first region: the process's own resident set (host), the CUDA context (cuda). */
  readonly contextBytes: number;
  /** What the system says is used: resident set less host backups (host), total - free of cuMemGetInfo (cuda). */
  readonly usedBytes: number;
  /** host: contextBytes + capacityBytes; cuda: cuMemGetInfo's total. */
  readonly totalBytes: number;
  readonly hostBackupBytes: number;
  readonly regions: readonly RegionObservation[];
}

/** Of a device; as in its observation. */
export type DeviceUsage = Pick<DeviceObservation, "committedBytes" | "heldBytes">;

/** As an `out_of_memory` error names them; `pool` is what no region has mapped. */
export interface Holder {
  readonly consumer: string;
  readonly bytes: number;
}

/**
 * Samples of one batch, row after row. A row is
 * [timeSeconds (Unix), usedBytes, totalBytes, contextBytes, hostBackupBytes, heldBytes,
 *  then per consumer: reservedBytes, committedBytes, usedBytes].
 */
export interface SampleBatch {
  readonly consumers: readonly string[];
  readonly rows: number;
  readonly samples: Float64Array;
  /** Samples lost since the previous batch: to a full ring, or because the sampling thread got no processor in time. */
  readonly dropped: number;
}

/** Runs until stop(), or until this object is garbage: keep it. It does not keep the process alive. */
export interface NativeTelemetry {
  /** 10 to 1000 Hz. */
  setRate(hertz: number): void;
  stop(): void;
}

export interface NativeDevice {
  observe(): DeviceObservation;
  /** What is taken of the capacity: costs next to nothing, for somebody who asks after every action. */
  usage(): DeviceUsage;
  /** Who has taken it; the same bytes in all. */
  holders(): readonly Holder[];
  /** `prepareBackup` of all regions of a consumer, those of models, engines and trainers too. Error `not_found` without any. */
  prepareBackups(consumer: string, operation?: LongOperation): Promise<Receipt>;
  createRegion(options: { readonly consumer: string; readonly tag: string; readonly bytes: number }): NativeRegion;
  /** Changes what regions may commit; refused below what is committed now. */
  setCapacity(bytes: number): void;
  /** Gives held chunks back to the device; returns the bytes. */
  trim(): Promise<number>;
  startTelemetry(
    options: { readonly hertz: number; readonly batchSeconds: number },
    onBatch: (batch: SampleBatch) => void,
  ): NativeTelemetry;
  close(): Promise<void>;
}
