/**
 * The verbs that every engine behind a session answers. `native` (native-backend.ts) is the first; servers that people
 * already run come behind the same ones, so nothing above this file may assume that the engine lives in this process:
 * all work is asynchronous, models are named by role, and observing gives the latest that is known.
 */
import type { Role } from "../../core/consumers.ts";
import type { CheckpointSummary, Obstacle, OpenDevice } from "../../core/contract/state.ts";
import type {
  PauseMode,
  Receipt,
  ReleaseDestination,
  ReleaseMode,
  RunningPolicy,
  SwapMethod,
} from "../../core/contract/vocabulary.ts";
import type { LinkMeasurement } from "../../core/link-measurement.ts";
import type { ForeignWeights, GenerateRequest, GenerationEvent } from "../../native/addon.d.ts";
import type { Checkpoint } from "./checkpoint.ts";

/** How a long verb tells what it has done and hears that it should stop. */
export interface Work {
  readonly progress: (doneBytes: number, totalBytes: number) => void;
  readonly signal: AbortSignal;
}

/** One sequence to generate; it ends where the checkpoint says so, unless it is to go on past that. */
export interface BackendRequest extends Omit<GenerateRequest, "stopTokenIds"> {
  readonly pastEndOfText?: boolean;
}

export interface BackendEngine {
  readonly status: "idle" | "running" | "paused" | "swapping";
  readonly checkpoint: CheckpointSummary;
  /** Tokens that end a sequence. */
  readonly stopTokenIds: readonly number[];
  /** Counts up with every load and swap. */
  readonly weightsVersion: number;
  /** By another process: the checkpoint says what model they are, its files hold others. */
  readonly handedOver?: true;
  readonly runningRequests: number;
  readonly waitingRequests: number;
  readonly kv: {
    readonly blockTokens: number;
    readonly blocks: number;
    readonly usedBlocks: number;
    readonly bytesPerToken: number;
  };
  /** Why it cannot generate, where its memory would let it. */
  readonly obstacle?: Obstacle;
}

export interface BackendObservation extends OpenDevice {
  /** Those on which a run has roles beside the engine's. */
  readonly otherDevices: readonly OpenDevice[];
  /** Absent until a checkpoint was opened. */
  readonly engine?: BackendEngine;
  readonly models: readonly {
    readonly role: Role;
    readonly consumer: string;
    readonly checkpoint: CheckpointSummary;
  }[];
  readonly samplingHertz: number;
}

export interface BackendSettings {
  readonly device: string;
  readonly capacityBytes: number;
  readonly kvCacheBytes: number;
  readonly samplingHertz: number;
}

export interface ReleaseRequest {
  readonly consumer: string;
  readonly mode: ReleaseMode;
  readonly destination: ReleaseDestination;
}

export interface SwapRequest {
  readonly source:
    | { readonly kind: "checkpoint"; readonly checkpoint: Checkpoint }
    | { readonly kind: "model"; readonly role: Role }
    | { readonly kind: "process"; readonly weights: ForeignWeights };
  readonly method: SwapMethod;
  /** For `bucketed`. */
  readonly bucketBytes?: number | undefined;
  readonly running: RunningPolicy;
}

/** Every verb that fails has changed nothing, and throws an error that core/errors.ts `toErrorData` understands. */
export interface Backend {
  readonly name: "native";
  observe(): BackendObservation;
  /** Changes what is given; a new device or KV cache size loads the checkpoint again. */
  configure(changes: Partial<BackendSettings>, work: Work): Promise<void>;
  /** Loads a checkpoint into a new engine; the engine before stays until the new one is ready. */
  open(checkpoint: Checkpoint, work: Work): Promise<Receipt>;
  loadModel(role: Role, checkpoint: Checkpoint, work: Work): Promise<Receipt>;
  unloadModel(role: Role): Promise<Receipt>;
  release(request: ReleaseRequest, work: Work): Promise<Receipt>;
  resume(consumer: string, work: Work): Promise<Receipt>;
  swap(request: SwapRequest, work: Work): Promise<Receipt>;
  /** Lends a consumer's weights at a socket, until `endLoan` or until they leave the device. */
  lend(consumer: string, socket: string): Promise<void>;
  endLoan(consumer: string): Promise<void>;
  /** Gives held chunks back to the device; resolves with their bytes. */
  trim(): Promise<number>;
  /** How fast bytes move on the device, and between it and the host; `busy` while something runs there. */
  measureLink(work: Work): Promise<LinkMeasurement>;
  /** Starts a generation and resolves with its number; its events arrive at `onEvents`. */
  generate(
    requests: readonly BackendRequest[],
    onEvents: (events: readonly GenerationEvent[]) => void,
  ): Promise<number>;
  cancel(generation: number): Promise<void>;
  pause(mode: PauseMode): Promise<void>;
  continue(): Promise<void>;
  /** Writes the engine's weights as a Hugging Face folder. */
  save(folder: string, work: Work): Promise<{ readonly path: string; readonly bytes: number }>;
  close(): Promise<void>;
}
