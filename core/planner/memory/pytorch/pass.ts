/**
 * One pass of a model over a batch: what every module needs to know, and the workspaces that libraries ask for on first
 * use and keep.
 */
import type { Graph, LibraryWorkspaces, Parameter, Tensor, Thread } from "./autograd.ts";
import { type Count, CUBLAS_BYTES, TOKENS } from "./count.ts";
import type { Tape } from "./tape.ts";

export type AttentionKernel =
  /** Writes the scores out. */
  | "eager"
  /** PyTorch's fused attention: cuDNN's kernel on Hopper. */
  | "sdpa"
  /** FlashAttention: the same blocks, but it never needs a mask. */
  | "flash";

export interface Batch {
  /** Rows of the batch; 1 when sequences are packed. */
  readonly sequences: number;
  /** Tokens of each row, padding included. */
  readonly length: number;
  /** Some of them are padding, which an attention mask says. */
  readonly masked: boolean;
}

export interface PassOptions {
  readonly batch: Batch;
  readonly attention: AttentionKernel;
  /** Matrix products in two bytes on weights in four: `torch.autocast`. */
  readonly autocast: boolean;
  /** transformers' `use_cache`: keys and values of every layer stay until the pass ends. */
  readonly keyValueCache: boolean;
  /** Norms, rotation and gated activation as one kernel each (Liger). */
  readonly fused?: boolean | undefined;
  readonly norm: "llama" | "gemma";
}

/** Workspaces of one process: asked for once. */
export class Workspaces implements LibraryWorkspaces {
  private readonly tape: Tape;
  private readonly plain = new Set<Thread>();
  private readonly biased = new Set<Thread>();

  constructor(tape: Tape) {
    this.tape = tape;
  }

  /** cuBLAS keeps a workspace for each thread that calls it; products with a bias go through cuBLASLt, with one more. */
  multiply(thread: Thread, withBias: boolean): void {
    const known = withBias ? this.biased : this.plain;
    if (known.has(thread)) return;
    known.add(thread);
    this.tape.allocate(withBias ? CUBLASLT_BYTES : CUBLAS_BYTES, "cuBLAS workspace");
  }
}

const CUBLASLT_BYTES = 2 ** 20;

export class Pass {
  readonly graph: Graph;
  private readonly options: PassOptions;
  /** Copies in fewer bits that `torch.autocast` keeps until it ends. */
  private readonly copies: Map<Parameter, Tensor>;
  private readonly caches: Tensor[] = [];
  /** Cosines and sines of every position. */
  readonly rotation: readonly Tensor[];
  /** When only some rows are computed: how many. */
  readonly rows: Count | undefined;

  constructor(
    graph: Graph,
    options: PassOptions,
    rotation: readonly Tensor[],
    rows?: Count,
    copies = new Map<Parameter, Tensor>(),
  ) {
    this.graph = graph;
    this.options = options;
    this.rotation = rotation;
    this.rows = rows;
    this.copies = copies;
  }

  get batch(): Batch {
    return this.options.batch;
  }

  get attention(): AttentionKernel {
    return this.options.attention;
  }

  get autocast(): boolean {
    return this.options.autocast;
  }

  get keyValueCache(): boolean {
    return this.options.keyValueCache;
  }

  get fused(): boolean {
    return this.options.fused ?? false;
  }

  get norm(): "llama" | "gemma" {
    return this.options.norm;
  }

  get tokens(): Count {
    return this.rows ?? TOKENS;
  }

  /** The same pass on another graph, as gradient checkpointing computes a layer again: with copies of its own, without cache. */
  onceMore(graph: Graph): Pass {
    return new Pass(graph, { ...this.options, keyValueCache: false }, this.rotation, this.rows);
  }

  /** The same pass on some rows only, with the same copies. */
  ofRows(graph: Graph, rows: Count): Pass {
    return new Pass(graph, this.options, this.rotation, rows, this.copies);
  }

  /** The copy of a weight that this pass multiplies with; made on first use. */
  copyOf(weight: Parameter, make: () => Tensor): Tensor {
    const known = this.copies.get(weight);
    if (known !== undefined) return known;
    const made = this.graph.tape.because("low-precision copies of weights", make);
    this.copies.set(weight, made);
    return made;
  }

  /** Holds keys or values until the pass ends. */
  cache(tensor: Tensor): void {
    this.graph.tape.retain(tensor.block);
    this.caches.push(tensor);
  }

  /** What the modules since the last call left to be let go: caches when the model returns, copies when autocast ends. */
  take(): { readonly caches: readonly Tensor[]; readonly copies: readonly Tensor[] } {
    const left = { caches: [...this.caches], copies: [...this.copies.values()] };
    this.caches.length = 0;
    this.copies.clear();
    return left;
  }
}
