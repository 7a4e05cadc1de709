/**
 * As much of PyTorch's autograd as memory depends on: which operators keep which tensors for the backward pass, in which
 * order the backward pass runs (newest operator first), when what was kept is let go, and when two gradients of one
 * tensor are added in place. No numbers, only blocks.
 */
import { type Count, fixed, times } from "./count.ts";
import type { Block, Cause, Tape } from "./tape.ts";

/** Something with a shape; several may share one block. `undefined` producer: nothing to differentiate. */
export interface Tensor {
  readonly elements: Count;
  readonly itemBytes: number;
  readonly block: Block;
  readonly producer: Producer | undefined;
}

/** A weight. */
export class Parameter {
  readonly elements: Count;
  readonly itemBytes: number;
  readonly trained: boolean;
  /** How many operators will send it a gradient, before which the gradients are not added up. */
  uses = 0;
  gradient: Block | undefined;
  private readonly waiting: Gradient[] = [];

  constructor(elements: number, itemBytes: number, trained: boolean) {
    this.elements = fixed(elements);
    this.itemBytes = itemBytes;
    this.trained = trained;
  }

  get bytes(): number {
    return this.elements.each * this.itemBytes;
  }

  receive(tape: Tape, gradient: Gradient): void {
    const sum = this.waiting.pop();
    this.waiting.push(sum === undefined ? gradient : added(tape, sum, gradient, "gradients"));
    this.uses--;
    if (this.uses > 0) return;
    this.uses = 0;
    const last = this.waiting.pop();
    if (last === undefined) return;
    if (this.gradient === undefined) this.gradient = last.block;
    else tape.release(last.block);
  }
}

/** A gradient on its way. Results of matrix products are views of other tensors, and those are not added to in place. */
export interface Gradient {
  readonly block: Block;
  readonly view: boolean;
}

/** Where a gradient goes. */
export type Producer = Node | Parameter;

/** What an operator does when its turn comes: one gradient for each of `inputs`, made of blocks that it hands over. */
export type Backward = (gradient: Gradient) => readonly (Gradient | undefined)[];

export class Node {
  readonly inputs: readonly (Producer | undefined)[];
  readonly cause: Cause;
  readonly backward: Backward;
  readonly saved: readonly Block[];
  /** `backward` lets go of the gradient that it is given. */
  readonly takesGradient: boolean;
  /** Whether the derivative reads what was kept. */
  readonly reads: boolean;
  gradient: Gradient | undefined;

  constructor(
    inputs: readonly (Producer | undefined)[],
    saved: readonly Block[],
    cause: Cause,
    backward: Backward,
    { takesGradient = false, reads = false } = {},
  ) {
    this.inputs = inputs;
    this.saved = saved;
    this.cause = cause;
    this.backward = backward;
    this.takesGradient = takesGradient;
    this.reads = reads;
  }

  receive(tape: Tape, gradient: Gradient): void {
    const { gradient: sum } = this;
    this.gradient = sum === undefined ? gradient : added(tape, sum, gradient, this.cause);
  }
}

/** Adds two gradients: into the first, when nobody else holds it and it is not a view. */
function added(tape: Tape, sum: Gradient, gradient: Gradient, cause: Cause): Gradient {
  if (sum.block.references === 1 && !sum.view) {
    tape.release(gradient.block);
    return sum;
  }
  const block = tape.allocate(sum.block.size, cause);
  tape.release(sum.block);
  tape.release(gradient.block);
  return { block, view: false };
}

/** How the operators of a pass behave. */
export type Mode =
  /** `torch.no_grad`, or a layer under gradient checkpointing on its way forward. */
  | "discard"
  /** Keeps what the backward pass needs. */
  | "keep";

export type Thread = "forward" | "backward";

/** What cuBLAS asks for when a thread multiplies its first matrices, and keeps. */
export interface LibraryWorkspaces {
  multiply(thread: Thread, withBias: boolean): void;
}

interface RecordOptions {
  /** Of what the derivative asks for. */
  readonly cause?: Cause;
  readonly takesGradient?: boolean;
  /** Takes part in the backward pass whatever its inputs are. */
  readonly always?: boolean;
}

const NO_OPTIONS: RecordOptions = {};

/** What a gradient of an input is for; undefined: it has none. */
function producerOf(input: Tensor | Parameter): Producer | undefined {
  if (input instanceof Parameter) return input.trained ? input : undefined;
  return input.producer;
}

/** The operators of one step, oldest first. */
export class Graph {
  readonly tape: Tape;
  /** Forward and backward run in threads of their own; checkpointed layers are computed again in the backward one. */
  readonly thread: Thread;
  mode: Mode;
  private readonly workspaces: LibraryWorkspaces;
  private nodes: Node[] = [];
  /** Tensors kept so far since `countSaves`. */
  private saves = 0;
  /** As many as there were when the last operator was recorded. */
  private savesBefore = 0;
  /** After so many, nothing more is computed. */
  private stopAfterSaves = Number.POSITIVE_INFINITY;

  constructor(tape: Tape, workspaces: LibraryWorkspaces, thread: Thread, mode: Mode) {
    this.tape = tape;
    this.workspaces = workspaces;
    this.thread = thread;
    this.mode = mode;
  }

  /** A matrix product is about to run. */
  multiplies(thread: Thread, withBias: boolean): void {
    this.workspaces.multiply(thread, withBias);
  }

  /** Whether an operator with these inputs takes part in the backward pass. */
  follows(...inputs: readonly (Tensor | Parameter)[]): boolean {
    for (const input of inputs) if (producerOf(input) !== undefined) return true;
    return false;
  }

  /** What `keep` would keep of these: counted in every mode, kept in one. To be called before the result is asked for. */
  save(...tensors: readonly (Tensor | undefined)[]): readonly Block[] {
    const blocks: Block[] = [];
    for (const tensor of tensors) {
      if (tensor === undefined) continue;
      this.saves++;
      if (this.mode === "keep") blocks.push(this.tape.retain(tensor.block));
    }
    if (this.saves >= this.stopAfterSaves) this.tape.mute();
    return blocks;
  }

  /** A weight that is kept as it stands, which takes nothing. */
  saveParameter(): void {
    this.saves++;
    if (this.saves >= this.stopAfterSaves) this.tape.mute();
  }

  /** A new tensor without history. */
  tensor(elements: Count, itemBytes: number, cause?: Cause): Tensor {
    return { elements, itemBytes, block: this.tape.allocate(times(elements, itemBytes), cause), producer: undefined };
  }

  /** Gives a result its history, when it has one. */
  record(
    result: Tensor,
    inputs: readonly (Tensor | Parameter)[],
    saved: readonly Block[],
    backward: Backward,
    { cause = "gradients of activations", takesGradient = false, always = false }: RecordOptions = NO_OPTIONS,
  ): Tensor {
    if (!always && !this.follows(...inputs)) {
      for (const block of saved) this.tape.release(block);
      return result;
    }
    const producers = inputs.map(producerOf);
    const reads = this.saves > this.savesBefore;
    this.savesBefore = this.saves;
    const node = new Node(producers, saved, cause, backward, { takesGradient, reads });
    this.nodes.push(node);
    if (this.mode === "keep") {
      for (const producer of producers) if (producer instanceof Parameter) producer.uses++;
    }
    const { elements, itemBytes, block } = result;
    return { elements, itemBytes, block, producer: node };
  }

  /** The operators recorded by `work`, taken out of the graph. */
  collect<T>(work: () => T): { readonly result: T; readonly nodes: readonly Node[] } {
    const outer = this.nodes;
    this.nodes = [];
    const result = work();
    const { nodes } = this;
    this.nodes = outer;
    return { result, nodes };
  }

  /** Computes without keeping anything, and says what would have been kept. */
  outline<T>(
    work: () => T,
    training = true,
  ): { readonly result: T; readonly nodes: readonly Node[]; readonly saves: number } {
    this.saves = 0;
    this.savesBefore = 0;
    this.mode = "discard";
    const { result, nodes } = this.collect(work);
    if (training) this.mode = "keep";
    return { result, nodes, saves: this.saves };
  }

  /** Computes again what is needed to differentiate, and stops after the last tensor that is. */
  recompute<T>(saves: number, work: () => T): T {
    this.saves = 0;
    this.savesBefore = 0;
    this.stopAfterSaves = saves;
    try {
      return work();
    } finally {
      this.stopAfterSaves = Number.POSITIVE_INFINITY;
      this.tape.unmute();
    }
  }

  /** Runs operators backward, newest first. */
  differentiate(nodes: readonly Node[]): void {
    for (let at = nodes.length - 1; at >= 0; at--) {
      const node = nodes[at];
      if (node !== undefined) this.runBackward(node);
    }
  }

  /**
   * Runs the operators of an outline backward. Those that read nothing run at once; the first one that does makes `again`
   * compute the layer once more, whose operators take over.
   */
  differentiateOutline(outline: readonly Node[], again: () => readonly Node[]): void {
    let left = outline.length;
    while (left > 0 && outline[left - 1]?.reads !== true) {
      const node = outline[left - 1];
      if (node !== undefined) this.runBackward(node);
      left--;
    }
    const nodes = again().slice(0, left);
    for (const [at, node] of nodes.entries()) node.gradient = outline[at]?.gradient;
    this.differentiate(nodes);
  }

  private runBackward(node: Node): void {
    const { tape } = this;
    const { gradient, inputs } = node;
    node.gradient = undefined;
    const results = gradient === undefined ? [] : tape.because(node.cause, () => node.backward(gradient));
    if (gradient !== undefined && !node.takesGradient) tape.release(gradient.block);
    for (const block of node.saved) tape.release(block);
    for (let index = 0; index < results.length; index++) {
      const result = results[index];
      const producer = inputs[index];
      if (result === undefined) continue;
      if (producer === undefined) tape.release(result.block);
      else producer.receive(tape, result);
    }
  }
}
