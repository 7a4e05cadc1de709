/** A scoring pass, and training steps, as PyTorch runs them: a tape with a mark after each stage. */
import type { Architecture, Head } from "../../models/architecture.ts";
import { type Kernels, TOKENS, times, unitsOf } from "./count.ts";
import { Model } from "./model.ts";
import { type drop, SINGLE } from "./operators.ts";
import type { AttentionKernel, Batch, PassOptions } from "./pass.ts";
import { Workspaces } from "./pass.ts";
import { Tape } from "./tape.ts";
import type { Storage } from "./weights.ts";

export interface StepOptions {
  readonly batch: Batch;
  readonly storage: Storage;
  readonly autocast: boolean;
  readonly checkpointing: boolean;
  readonly attention: AttentionKernel;
  readonly keyValueCache: boolean;
  /** Norms, rotation and gated activation as one kernel each (Liger). */
  readonly fused?: boolean | undefined;
  readonly head: Head;
  /** Rows whose logits are computed at a time, under gradient checkpointing; left out: all. */
  readonly lossRows?: number | undefined;
  readonly optimizer: OptimizerState;
  readonly kernels: Kernels;
  /** One layer stands for all that are like it: for peaks. A device's allocator wants to see every one. */
  readonly folded: boolean;
  /** Threads of this process that have multiplied matrices before. */
  readonly warm: readonly ("forward" | "backward")[];
}

/** What an optimizer keeps for each trained weight. */
export interface OptimizerState {
  /** Bytes per weight, one entry for each tensor of the weight's shape. */
  readonly bytesPerWeight: (itemBytes: number) => readonly number[];
  /** The number of steps so far, for each tensor. */
  readonly counts: boolean;
}

/** Weights, then one pass without gradients: mark `score`. */
export function scoreTape(architecture: Architecture, options: StepOptions): Tape {
  const { tape, model, pass } = begin(architecture, options);
  const { output, loss } = model.forward(pass, false);
  tape.mark("score");
  release(tape, output, loss);
  return tape;
}

/**
 * Weights, then training steps, the first of which makes the optimizer's state. Marks `weights`, and for each step
 * `forward`, `backward`, `optimizer` and `zero_grad`.
 */
export function trainTape(architecture: Architecture, options: StepOptions, steps = 2): Tape {
  const { tape, model, pass } = begin(architecture, options);
  for (let step = 0; step < steps; step++) {
    const forward = model.forward(pass, true);
    tape.mark("forward");
    model.backward(forward);
    tape.mark("backward");
    release(tape, forward.output, forward.loss);
    if (step === 0) makeState(tape, model, options.optimizer);
    tape.mark("optimizer");
    for (const { count, parameters } of model.trained) {
      tape.section(count, () => {
        for (const parameter of parameters) {
          if (parameter.gradient !== undefined) tape.release(parameter.gradient);
          parameter.gradient = undefined;
        }
      });
    }
    tape.mark("zero_grad");
  }
  return tape;
}

/**
 * Weights, gradients of the micro-batches before, and the pass of one more micro-batch, whose gradients are added to them.
 * Marks `weights`, `gradients`, `forward` and `backward`. What a step of several micro-batches takes beside its optimizer.
 */
export function accumulateTape(architecture: Architecture, options: StepOptions): Tape {
  const { tape, model, pass } = begin(architecture, options);
  for (const { count, parameters } of model.trained) {
    tape.section(count, () => {
      for (const parameter of parameters) parameter.gradient = tape.allocate(parameter.bytes, "gradients");
    });
  }
  tape.mark("gradients");
  const forward = model.forward(pass, true);
  tape.mark("forward");
  model.backward(forward);
  tape.mark("backward");
  release(tape, forward.output, forward.loss);
  return tape;
}

function begin(architecture: Architecture, options: StepOptions) {
  const tape = new Tape(unitsOf({ ...options.batch, lossRows: options.lossRows }, options.kernels));
  const workspaces = new Workspaces(tape);
  for (const thread of options.warm) workspaces.multiply(thread, false);
  const model = new Model(tape, architecture, options.batch.length, options, workspaces);
  tape.mark("weights");
  tape.allocate(times(TOKENS, 2 * SINGLE), "token ids and positions");
  const pass: PassOptions = { ...options, norm: architecture.norm };
  return { tape, model, pass };
}

function release(tape: Tape, output: Parameters<typeof drop>[1], loss: Parameters<typeof drop>[1]): void {
  for (const tensor of [output, loss]) if (tensor !== undefined) tape.release(tensor.block);
}

function makeState(tape: Tape, model: Model, { bytesPerWeight, counts }: OptimizerState): void {
  for (const { count, parameters } of model.trained) {
    tape.section(count, () => {
      for (const { elements, itemBytes } of parameters) {
        if (counts) tape.allocate(SINGLE, "optimizer state");
        for (const bytes of bytesPerWeight(itemBytes)) tape.allocate(times(elements, bytes), "optimizer state");
      }
    });
  }
}
