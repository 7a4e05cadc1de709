/**
 * Types of the Node-API addon (native/build/Release/tideline.node): the hand-written mirror of native/addon/.
 * Every method that does work returns a promise and runs on the addon's own threads. Every failure is an `Error` with
 * `code` (core/errors.ts) and its details as own properties (`requestedBytes`, `holders`, `tensor`, `file`, …), and has
 * changed nothing. Sizes are bytes, times are milliseconds for costs and Unix seconds for stamps.
 */

import type { EngineOptions, NativeEngine } from "./addon/engine.d.ts";
import type { DeviceProbe, NativeCancellation, NativeDevice } from "./addon/memory.d.ts";
import type { ModelConfig, ModelHead, NativeModel } from "./addon/model.d.ts";
import type { WeightDType } from "./addon/tensors.d.ts";
import type {
  NativeScratch,
  NativeTrainer,
  PpoAdvantages,
  PpoInputs,
  TrainerLimits,
  TrainingBytes,
} from "./addon/trainer.d.ts";

export * from "./addon/engine.d.ts";
export * from "./addon/memory.d.ts";
export * from "./addon/model.d.ts";
export * from "./addon/tensors.d.ts";
export * from "./addon/trainer.d.ts";

export interface TidelineAddon {
  readonly cpu: { readonly threads: number; readonly isa: "baseline" | "avx2" | "avx512" };
  /** Whether this build found nvcc, so that it can compute on GPUs. */
  readonly cudaKernels: boolean;
  readonly SAMPLE_HEADER_COLUMNS: 6;
  readonly SAMPLE_CONSUMER_COLUMNS: 3;
  /** The host device always, then one probe per CUDA device, or one with a `problem`. Never throws. */
  probeDevices(): readonly DeviceProbe[];
  /** The cuBLAS that GPUs multiply with, loaded when this is first asked; or why the one that is there cannot be. */
  findCublas(): { readonly path?: string; readonly version?: string; readonly problem?: string };
  openDevice(options: {
    readonly name: string;
    readonly capacityBytes: number;
    /** All chunks then have this size. Left out, a GPU's are as large as fits a region, the host's 2 MiB or more. */
    readonly chunkBytes?: number;
  }): NativeDevice;
  createCancellation(): NativeCancellation;
  /** Bytes of the fused layout for this config, dtype and head (`lm`): what `createModel` will reserve. */
  weightBytes(config: ModelConfig, dtype: WeightDType, head?: ModelHead): number;
  createModel(
    device: NativeDevice,
    options: {
      readonly config: ModelConfig;
      readonly dtype: WeightDType;
      readonly consumer: string;
      /** `lm` when left out. */
      readonly head?: ModelHead;
    },
  ): NativeModel;
  /**
   * Takes ownership of `model` (consumer `engine.weights`) and makes the `engine.kv_cache` and `workspace` regions (released
   * until resumed).
   */
  createEngine(device: NativeDevice, model: NativeModel, options: EngineOptions): NativeEngine;
  /** What `createTrainer` will reserve for a model of this config, dtype and head (`lm`), on this device (the host). */
  trainingBytes(
    config: ModelConfig,
    options: TrainerLimits & { readonly dtype: WeightDType; readonly head?: ModelHead; readonly device?: NativeDevice },
  ): TrainingBytes;
  /** Sized for the largest of the trainers that will share it: the most of each that `trainingBytes` says. */
  createScratch(device: NativeDevice, bytes: Pick<TrainingBytes, "activationsBytes" | "logitsBytes">): NativeScratch;
  /**
   * The model stays its owner's; what it computes (log-probs or values) follows its head. With `scratch` its activations
   * and logits are those; closing the trainer leaves them. Error bad_argument when they are too small; int8 models need
   * `trainable: false` (unsupported).
   */
  createTrainer(
    device: NativeDevice,
    options: TrainerLimits & {
      readonly model: NativeModel;
      readonly consumerPrefix: string;
      readonly scratch?: NativeScratch;
    },
  ): NativeTrainer;
  /** Token rewards, generalized advantage estimation and whitening. Error `not_finite` names the input. */
  ppoAdvantages(inputs: PpoInputs): PpoAdvantages;
}
