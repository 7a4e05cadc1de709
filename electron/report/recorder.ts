/** What a report keeps of a run while it runs: memory over time, device by device, and the rollouts of the first step. */
import type { ReportAction, ShownStep } from "../../core/report/report.ts";
import type { PhaseRecord, StepRecord } from "../../core/run/records.ts";
import type { DeviceObservation } from "../../native/addon.d.ts";
import type { SamplesListener } from "../ppo/backend.ts";
import type { RunListener } from "../ppo/executor.ts";
import type { ActionRecord } from "../ppo/records.ts";
import { MemoryRecorder } from "./memory-recorder.ts";

export class RunRecorder {
  readonly #devices = new Map<string, MemoryRecorder>();
  #observe: (() => readonly DeviceObservation[]) | undefined;
  #firstStep: StepRecord | undefined;

  /** To be told of a run. */
  readonly listener: RunListener & { readonly onSamples: SamplesListener } = {
    onSamples: (batch, device) => this.#memoryOf(device).addSamples(batch),
    onCursor: () => this.#addBoundary(),
    onAction: (action) => this.#addAction(action),
    onStep: (step) => {
      this.#firstStep ??= step;
    },
  };

  /** Where memory is read, once the run has its devices; the engine's first. */
  watch(observe: () => readonly DeviceObservation[]): void {
    this.#observe = observe;
  }

  /** Steps with the first one in front, which a long run keeps no longer. */
  withFirst(steps: readonly StepRecord[]): readonly StepRecord[] {
    const first = this.#firstStep;
    return first === undefined ? steps : [first, ...steps.filter(({ step }) => step !== first.step)];
  }

  /** One step as the pictures show it. */
  shownStep(phases: readonly PhaseRecord[], actions: readonly ActionRecord[]): ShownStep | undefined {
    const [first] = phases;
    if (first === undefined) return undefined;
    const shown = actions.map(reportAction);
    const timeline = {
      actions: shown.filter(({ receipt, error }) => receipt !== undefined || error !== undefined),
      phases: phases.map(({ work, step, startSeconds, endSeconds }) => ({
        name: work,
        step,
        startSeconds,
        endSeconds,
      })),
    };
    const devices = this.#observe?.().map(({ name }) => name) ?? [...this.#devices.keys()];
    return {
      step: first.step,
      actions: shown,
      devices: devices.map((name) => ({ name, timeline: { ...timeline, samples: this.#memoryOf(name).samples() } })),
    };
  }

  #memoryOf(device: string): MemoryRecorder {
    const memory = this.#devices.get(device) ?? new MemoryRecorder();
    this.#devices.set(device, memory);
    return memory;
  }

  #addBoundary(): void {
    const timeSeconds = Date.now() / 1000;
    for (const device of this.#observe?.() ?? []) this.#memoryOf(device.name).addBoundary(device, timeSeconds);
  }

  #addAction({ startSeconds, endSeconds, receipt }: ActionRecord): void {
    const bucketBytes = receipt?.action === "swap" ? Math.min(receipt.bytesCommitted, receipt.bytesFreed) : 0;
    for (const [index, device] of (this.#observe?.() ?? []).entries()) {
      // Swaps lead to the engine, whose device is the first.
      this.#memoryOf(device.name).addAction(device, startSeconds, endSeconds, index === 0 ? bucketBytes : 0);
    }
  }
}

function reportAction(action: ActionRecord, index: number): ReportAction {
  const { work, origin, kind, label, consumer, startSeconds, endSeconds, receipt, error } = action;
  return {
    id: index,
    work,
    origin,
    kind,
    label,
    consumer,
    timeSeconds: endSeconds,
    milliseconds: (endSeconds - startSeconds) * 1000,
    ...(receipt && { receipt }),
    ...(error && { error }),
  };
}
