/**
 * The most that is taken of one device while a run goes on: of the whole run, and of phases. Memory only changes with an
 * action, so it is read after each: two numbers, and who holds them only where a peak rises.
 */
import type { DeviceUsage, Holder } from "../../native/addon.d.ts";

/** A device whose memory is recorded. */
export interface RecordedDevice {
  readonly name: string;
  /** Asked for after every action. */
  readonly usage: () => DeviceUsage;
  /** The same bytes in all. */
  readonly holders: () => readonly Holder[];
}

/** Bytes that were taken of a device at once, and by whom. */
export interface Peak {
  readonly device: string;
  readonly bytes: number;
  readonly holders: readonly Holder[];
}

/** What a bucketed swap takes for its length is a region of this consumer. */
const TRANSIENT_HOLDER = "workspace";

export class DevicePeaks {
  readonly #device: RecordedDevice;
  /** Since the last action. */
  #usage: DeviceUsage;
  /** The same, once somebody asked. */
  #holders: readonly Holder[] | undefined;
  #runBytes = 0;

  constructor(device: RecordedDevice) {
    this.#device = device;
    this.#usage = device.usage();
  }

  get device(): string {
    return this.#device.name;
  }

  /** Of the whole run. */
  get runBytes(): number {
    return this.#runBytes;
  }

  get takenBytes(): number {
    return this.#usage.committedBytes + this.#usage.heldBytes;
  }

  /** What is taken now, as the first peak of a phase that begins. */
  now(): Peak {
    return { device: this.device, bytes: this.takenBytes, holders: this.#heldBy() };
  }

  /**
   * An action is over.
   * @param committedBytes that it took of this device; it may have given some back before it was over.
   * @returns the bytes that it took for its length only.
   */
  readAfter(committedBytes: number): number {
    const mostBytes = this.#usage.committedBytes + committedBytes;
    this.#usage = this.#device.usage();
    this.#holders = undefined;
    return Math.max(0, mostBytes - this.takenBytes);
  }

  /** A sample or a reading of the run. */
  raiseRun(bytes: number): void {
    if (bytes > this.#runBytes) this.#runBytes = bytes;
  }

  /** The peak of a phase in which there was also what is taken now, and `transientBytes` more for a while. */
  raised(peak: Peak, transientBytes: number): Peak {
    const bytes = this.takenBytes + transientBytes;
    if (bytes <= peak.bytes) return peak;
    if (transientBytes === 0) return this.now();
    const holders = [...this.#heldBy(), { consumer: TRANSIENT_HOLDER, bytes: transientBytes }];
    return { device: this.device, bytes, holders };
  }

  #heldBy(): readonly Holder[] {
    this.#holders ??= this.#device.holders();
    return this.#holders;
  }
}
