/**
 * An addon without native code, for tests of the session: a device that really runs out, regions with states, and an
 * engine that generates token ids counting up. Only what the session relies on is imitated; what memory really does is
 * tested against the real addon.
 */
import type {
  DeviceObservation,
  DeviceUsage,
  EngineObservation,
  GenerateRequest,
  GenerationEvent,
  Holder,
  NativeCancellation,
  NativeDevice,
  NativeEngine,
  NativeModel,
  Receipt,
  RegionObservation,
  ReleaseOptions,
  SampleBatch,
  TidelineAddon,
} from "../../../native/addon.d.ts";

const WORKSPACE_BYTES = 1000;

/** Ids count up from here: those below are the special tokens of every fixture, among them the one that ends. */
export const FIRST_FAKE_TOKEN = 3;

export interface FakeAddon extends TidelineAddon {
  /** Delivers a batch as the sampler would. */
  sample(batch: SampleBatch): void;
  /** The next call of this kind fails with this error, once. */
  failNext(call: "load" | "createEngine" | "resume" | "openDevice", error: Error): void;
  /** Everything that was done, in order: "release engine.weights host". */
  readonly log: string[];
  /** Lets `load` wait for `finishLoads`, so that a test can act while it runs. */
  holdLoads(): void;
  finishLoads(): void;
  /** Delivers this many tokens of every running request, then ends those that are done. */
  step(tokens: number): void;
}

export function nativeError(code: string, message: string, details: object = {}): Error {
  return Object.assign(new Error(message), { code, ...details });
}

/** @param weightBytes what every model takes on the device. */
export function fakeAddon({ weightBytes = 10_000 }: { weightBytes?: number } = {}): FakeAddon {
  const log: string[] = [];
  const failures = new Map<string, Error>();
  const engines = new Set<FakeEngine>();
  let onBatch: (batch: SampleBatch) => void = () => {};
  let held: (() => void)[] | undefined;

  const failIfAsked = (call: string) => {
    const error = failures.get(call);
    failures.delete(call);
    if (error) throw error;
  };

  class FakeRegion {
    residency: RegionObservation["residency"] = "released";
    contents: RegionObservation["contents"] = "undefined";
    readonly device: FakeDevice;
    readonly consumer: string;
    readonly bytes: number;

    constructor(device: FakeDevice, consumer: string, bytes: number) {
      this.device = device;
      this.consumer = consumer;
      this.bytes = bytes;
      device.regions.add(this);
    }

    get committed() {
      return this.residency === "resident" ? this.bytes : 0;
    }

    observe(): RegionObservation {
      const { residency, contents, consumer, bytes, committed } = this;
      return {
        consumer,
        tag: consumer,
        residency,
        contents,
        reservedBytes: bytes,
        committedBytes: committed,
        usedBytes: committed,
        address: "0x1000",
      };
    }

    receipt(action: Receipt["action"], method: string, committed: number, freed: number): Receipt {
      return {
        action,
        consumer: this.consumer,
        method,
        bytesFreed: freed,
        bytesRetained: 0,
        bytesCommitted: committed,
        bytesCopied: 0,
        milliseconds: 1,
      };
    }

    async release({ mode }: ReleaseOptions): Promise<Receipt> {
      if (this.residency !== "resident") throw nativeError("already_released", `${this.consumer} is released`);
      if (mode !== "discard" && this.contents === "undefined") {
        throw nativeError("contents_undefined", `${this.consumer} has no contents to keep`);
      }
      log.push(`release ${this.consumer} ${mode}`);
      this.residency = mode === "discard" ? "released" : mode === "disk" ? "disk" : "host";
      if (mode === "discard") this.contents = "undefined";
      return this.receipt("release", mode, 0, this.bytes);
    }

    async resume(): Promise<Receipt> {
      if (this.residency === "resident") throw nativeError("already_resident", `${this.consumer} is resident`);
      failIfAsked("resume");
      const { freeBytes, capacityBytes } = this.device.observe();
      if (freeBytes < this.bytes) {
        throw nativeError("out_of_memory", `${this.consumer} needs ${this.bytes}, free are ${freeBytes}`, {
          requestedBytes: this.bytes,
          freeBytes,
          capacityBytes,
          holders: [],
        });
      }
      log.push(`resume ${this.consumer}`);
      this.residency = "resident";
      return this.receipt("resume", "zero", this.bytes, 0);
    }

    async close() {
      this.device.regions.delete(this);
      log.push(`close ${this.consumer}`);
    }
  }

  class FakeDevice implements NativeDevice {
    readonly regions = new Set<FakeRegion>();
    capacity: number;
    readonly name: string;

    constructor(name: string, capacity: number) {
      this.name = name;
      this.capacity = capacity;
    }

    observe(): DeviceObservation {
      const regions = [...this.regions].map((region) => region.observe());
      const committed = regions.reduce((sum, { committedBytes }) => sum + committedBytes, 0);
      return {
        name: this.name,
        description: `the ${this.name} device`,
        capacityBytes: this.capacity,
        chunkBytes: 1000,
        committedBytes: committed,
        heldBytes: 0,
        freeBytes: this.capacity - committed,
        contextBytes: 500,
        usedBytes: 500 + committed,
        totalBytes: 500 + this.capacity,
        hostBackupBytes: 0,
        regions,
      };
    }

    usage(): DeviceUsage {
      const { committedBytes, heldBytes } = this.observe();
      return { committedBytes, heldBytes };
    }

    holders(): readonly Holder[] {
      return [...this.regions].map((region) => ({ consumer: region.consumer, bytes: region.committed }));
    }

    prepareBackups(): never {
      throw new Error("the session prepares no backups");
    }

    createRegion(): never {
      throw new Error("the session makes no regions of its own");
    }

    setCapacity(bytes: number) {
      if (bytes < this.observe().committedBytes) throw nativeError("bad_argument", "more than that is committed");
      this.capacity = bytes;
    }

    async trim() {
      return 4096;
    }

    startTelemetry(_: unknown, listener: (batch: SampleBatch) => void) {
      onBatch = listener;
      return { setRate: (hertz: number) => void log.push(`rate ${hertz}`), stop: () => {} };
    }

    async close() {
      log.push(`close device ${this.name}`);
    }
  }

  class FakeModel implements NativeModel {
    readonly region: FakeRegion;

    constructor(device: FakeDevice, consumer: string) {
      this.region = new FakeRegion(device, consumer, weightBytes);
    }

    observe = () => this.region.observe();
    tensors = () => [];
    readTensor = async () => new Uint8Array();
    release = (options: ReleaseOptions) => this.region.release(options);
    resume = () => this.region.resume();
    copyFrom = unused;
    share = unused;
    save = async () => {};
    close = () => this.region.close();

    async load(
      _: unknown,
      operation?: { cancellation?: NativeCancellation; onProgress?: (a: number, b: number) => void },
    ) {
      failIfAsked("load");
      await this.region.resume();
      operation?.onProgress?.(weightBytes / 2, weightBytes);
      if (held) {
        const waiting = held;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      if (operation?.cancellation && cancelled.has(operation.cancellation)) {
        await this.region.release({ mode: "discard" });
        throw nativeError("cancelled", "cancelled before it was done; nothing was changed");
      }
      this.region.contents = "defined";
      return this.region.receipt("load", "disk", weightBytes, 0);
    }
  }

  interface FakeRequest extends GenerateRequest {
    sent: number;
    done: boolean;
  }

  class FakeEngine implements NativeEngine {
    readonly regions: Record<"weights" | "kv_cache" | "workspace", FakeRegion>;
    status: EngineObservation["status"] = "idle";
    version = 1;
    next = 1;
    readonly generations = new Map<
      number,
      { requests: FakeRequest[]; emit: (events: readonly GenerationEvent[]) => void }
    >();

    constructor(device: FakeDevice, model: FakeModel, kvCacheBytes: number) {
      this.regions = {
        weights: model.region,
        kv_cache: new FakeRegion(device, "engine.kv_cache", kvCacheBytes),
        workspace: new FakeRegion(device, "workspace", WORKSPACE_BYTES),
      };
      engines.add(this);
    }

    shareWeights = unused;

    observe(): EngineObservation {
      const running = [...this.generations.values()].reduce((sum, { requests }) => sum + requests.length, 0);
      return {
        status: running > 0 && this.status === "idle" ? "running" : this.status,
        runningRequests: running,
        waitingRequests: 0,
        weightsVersion: this.version,
        kv: { blockTokens: 16, blocks: 10, usedBlocks: running, bytesPerToken: 64 },
        generatedTokens: 0,
      };
    }

    generate(requests: readonly GenerateRequest[], emit: (events: readonly GenerationEvent[]) => void) {
      if (this.regions.weights.residency !== "resident") throw nativeError("not_resident", "the weights are released");
      const id = this.next++;
      this.generations.set(id, { requests: requests.map((request) => ({ ...request, sent: 0, done: false })), emit });
      log.push(`generate ${requests.length}`);
      return id;
    }

    step(tokens: number) {
      for (const [id, { requests, emit }] of this.generations) {
        const events: GenerationEvent[] = [];
        requests.forEach((request, index) => {
          for (let n = 0; n < tokens && request.sent < request.maxNewTokens; n++) {
            const tokenId = FIRST_FAKE_TOKEN + request.sent++;
            events.push({ type: "token", index, tokenId, logprob: -1, timeSeconds: Date.now() / 1000 });
          }
          if (request.sent === request.maxNewTokens && !request.done) {
            request.done = true;
            events.push(finished(index, "length", request.sent));
          }
        });
        if (requests.every(({ done }) => done)) this.generations.delete(id);
        emit(events);
      }
    }

    cancel(id: number) {
      const generation = this.generations.get(id);
      if (!generation) throw nativeError("not_found", `generation ${id} is not running`);
      this.generations.delete(id);
      generation.emit(generation.requests.map(({ sent }, index) => finished(index, "cancelled", sent)));
    }

    async pause(mode: string) {
      this.status = "paused";
      log.push(`pause ${mode}`);
    }

    async continue() {
      this.status = "idle";
    }

    score(): never {
      throw new Error("not used by the session");
    }

    release = (tag: "weights" | "kv_cache" | "workspace", options: ReleaseOptions) =>
      this.regions[tag].release(options);
    resume = (tag: "weights" | "kv_cache" | "workspace") => this.regions[tag].resume();

    async swap({ method }: { method: string }) {
      this.version++;
      this.regions.weights.contents = "defined";
      log.push(`swap ${method}`);
      return this.regions.weights.receipt("swap", "copy", 0, 0);
    }

    tensors = () => [];
    readTensor = async () => new Uint8Array();
    save = async () => {};

    async close() {
      engines.delete(this);
      for (const region of Object.values(this.regions)) await region.close();
    }
  }

  const cancelled = new Set<NativeCancellation>();
  return {
    cpu: { threads: 1, isa: "baseline" },
    cudaKernels: false,
    SAMPLE_HEADER_COLUMNS: 6,
    SAMPLE_CONSUMER_COLUMNS: 3,
    log,
    sample: (batch) => onBatch(batch),
    failNext: (call, error) => void failures.set(call, error),
    holdLoads: () => {
      held = [];
    },
    finishLoads: () => {
      const waiting = held ?? [];
      held = undefined;
      for (const finish of waiting) finish();
    },
    step: (tokens) => {
      for (const engine of engines) engine.step(tokens);
    },
    findCublas: () => ({}),
    probeDevices: () => [
      { name: "host", description: "this machine", totalBytes: 1e9, freeBytes: 5e8 },
      { name: "cuda:0", description: "a GPU", totalBytes: 0, freeBytes: 0, problem: "no driver" },
    ],
    openDevice: ({ name, capacityBytes }) => {
      failIfAsked("openDevice");
      return new FakeDevice(name, capacityBytes);
    },
    createCancellation: () => {
      const cancellation: NativeCancellation = { cancel: () => void cancelled.add(cancellation) };
      return cancellation;
    },
    weightBytes: () => weightBytes,
    createModel: (device, { consumer }) => new FakeModel(device as FakeDevice, consumer),
    createEngine: (device, model, { kvCacheBytes }) => {
      failIfAsked("createEngine");
      return new FakeEngine(device as FakeDevice, model as FakeModel, kvCacheBytes);
    },
    trainingBytes: unused,
    createScratch: unused,
    createTrainer: unused,
    ppoAdvantages: unused,
  };
}

function unused(): never {
  throw new Error("not used by the session");
}

function finished(index: number, reason: "length" | "cancelled", newTokens: number): GenerationEvent {
  return { type: "finished", index, reason, promptTokens: 1, newTokens, prefillSeconds: 0.1, decodeSeconds: 0.1 };
}
