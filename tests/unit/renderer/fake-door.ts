/** A door whose other side is the test: requests are kept, answers and events are given by hand. */
import type { CommandName } from "../../../core/contract/commands.ts";
import type { Door, RequestEnvelope } from "../../../core/contract/messages.ts";
import type { SessionState } from "../../../core/contract/state.ts";
import { GIB, MIB } from "../../../core/units.ts";

export interface FakeDoor extends Door {
  readonly requests: readonly RequestEnvelope[];
  /** What a command is answered with from now on. */
  answer(command: CommandName, value: unknown): void;
  /** From now on a command is refused with this error. */
  refuse(command: CommandName, error: object): void;
  /** From now on a command is not answered until `release` is called. */
  hold(command: CommandName): { release(value: unknown): void };
  emit(event: unknown): void;
  setConnected(connected: boolean): void;
}

export function fakeDoor(): FakeDoor {
  const requests: RequestEnvelope[] = [];
  const answers = new Map<string, (id: number) => Promise<unknown> | unknown>();
  const listeners = new Set<(event: unknown) => void>();
  const connectionListeners = new Set<(connected: boolean) => void>();
  return {
    kind: "browser",
    requests,
    async send(request) {
      requests.push(request);
      const answer = answers.get(request.command);
      return answer === undefined ? new Promise(() => {}) : answer(request.id);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    onConnection(listener) {
      connectionListeners.add(listener);
      return () => connectionListeners.delete(listener);
    },
    answer: (command, value) => void answers.set(command, (id) => ({ id, ok: true, value })),
    refuse: (command, error) => void answers.set(command, (id) => ({ id, ok: false, error })),
    hold(command) {
      let release: (value: unknown) => void = () => {};
      const released = new Promise<unknown>((resolve) => {
        release = resolve;
      });
      answers.set(command, async (id) => ({ id, ok: true, value: await released }));
      return { release };
    },
    emit: (event) => {
      for (const listener of listeners) listener(event);
    },
    setConnected: (connected) => {
      for (const listener of connectionListeners) listener(connected);
    },
  };
}

export const demoCheckpoint = {
  path: "/models/demo",
  name: "demo",
  family: "llama",
  parameters: 2_510_000,
  dtype: "bfloat16",
  weightBytes: 5 * MIB,
  layers: 4,
  hiddenSize: 192,
  vocabSize: 1024,
  maxPositions: 2048,
  hasTokenizer: true,
};

/** A session that can generate: 6 MiB of weights, 64 MiB of KV cache, 6 MiB of workspace on a host of 256 MiB. */
export function sessionState(change: Partial<SessionState> = {}): SessionState {
  return {
    version: "0.1.0",
    backend: "native",
    device: {
      name: "host",
      description: "a processor",
      capacityBytes: 256 * MIB,
      chunkBytes: 2 * MIB,
      committedBytes: 76 * MIB,
      heldBytes: 0,
      freeBytes: 180 * MIB,
      contextBytes: 50 * MIB,
      usedBytes: 130 * MIB,
      totalBytes: 306 * MIB,
      hostBackupBytes: 0,
    },
    devices: [{ name: "host", description: "a processor", totalBytes: 8 * GIB, freeBytes: 4 * GIB }],
    otherDevices: [],
    consumers: [consumer("engine.weights", 6), consumer("engine.kv_cache", 64), consumer("workspace", 6)],
    engine: {
      status: "idle",
      checkpoint: demoCheckpoint,
      weightsVersion: 1,
      runningRequests: 0,
      waitingRequests: 0,
      kv: { blockTokens: 16, blocks: 100, usedBlocks: 0, bytesPerToken: 3072, capacityTokens: 1600 },
    },
    models: [],
    recents: [],
    operations: [],
    socketsFolder: "/run/user/1000/tideline",
    samplingHertz: 100,
    droppedSamples: 0,
    ...change,
  };
}

type ConsumerState = SessionState["consumers"][number];

export function consumer(name: string, mib: number, change: Partial<ConsumerState> = {}): ConsumerState {
  const resident = change.residency === undefined || change.residency === "resident";
  return {
    consumer: name,
    tag: name,
    residency: "resident",
    contents: "defined",
    reservedBytes: mib * MIB,
    committedBytes: resident ? mib * MIB : 0,
    usedBytes: resident ? mib * MIB : 0,
    ...change,
  };
}
