/** A whole model on a tape: its weights, its forward pass, and the operators that the backward pass will run. */
import type { Architecture, Head, Layer, LayerRun } from "../../models/architecture.ts";
import { Graph, Node, type Parameter, type Tensor } from "./autograd.ts";
import { fixed, TOKENS, times } from "./count.ts";
import { decoderLayer } from "./decoder.ts";
import { capped, logProbabilities } from "./heads.ts";
import { attentionMask, rotationTables } from "./inputs.ts";
import { type BackwardSection, lossInParts } from "./loss-in-parts.ts";
import { rmsNorm } from "./norm.ts";
import { alias, drop, mapped } from "./operators.ts";
import { Pass, type PassOptions, type Workspaces } from "./pass.ts";
import { project } from "./projection.ts";
import type { Tape } from "./tape.ts";
import { type LayerWeights, type Linear, layerWeights, type Storage, WeightsBuilder } from "./weights.ts";

/** A layer, and how many there are that are just like it. */
interface Repeated {
  readonly weights: LayerWeights;
  readonly count: number;
}

/** What a forward pass leaves. */
export interface Forward {
  /** Logits or values, which the caller still holds; not there when the loss is computed in parts. */
  readonly output: Tensor | undefined;
  /** What will be differentiated. */
  readonly loss: Tensor;
  /** The backward pass by section, in the order of the forward pass. */
  readonly recorded: readonly BackwardSection[];
}

export interface ModelOptions {
  readonly storage: Storage;
  readonly head: Head;
  /** Rows whose logits are computed at a time; undefined: all. */
  readonly lossRows?: number | undefined;
  /** Layers keep only their input, and are computed again in the backward pass. */
  readonly checkpointing: boolean;
  /** One layer stands for all that are like it; otherwise every layer is on the tape. */
  readonly folded: boolean;
}

export class Model {
  readonly tape: Tape;
  readonly architecture: Architecture;
  private readonly options: ModelOptions;
  private readonly workspaces: Workspaces;
  private readonly embedding: Parameter;
  private readonly layers: readonly Repeated[];
  private readonly finalNorm: Parameter;
  private readonly head: Linear;

  /** Puts the weights on the tape. `length`: of the longest row, which decides which layers look at all of it. */
  constructor(tape: Tape, architecture: Architecture, length: number, options: ModelOptions, workspaces: Workspaces) {
    this.tape = tape;
    this.architecture = architecture;
    this.options = options;
    this.workspaces = workspaces;
    const { vocabSize, hiddenSize, tiedEmbeddings } = architecture;
    const { storage, head, folded } = options;
    const outer = new WeightsBuilder(storage);
    this.embedding = outer.parameter(Math.ceil(vocabSize / storage.tensorParallel) * hiddenSize);
    this.place([this.embedding]);
    this.layers = alike(architecture, length).flatMap(({ count, layer }) => {
      // The first layer differs from those after it in what it finds: workspaces and the embeddings.
      const counts = folded ? [1, count - 1] : Array<number>(count).fill(1);
      return counts
        .filter((each) => each > 0)
        .map((each) => ({ weights: layerWeights(architecture, layer, storage), count: each }));
    });
    for (const { weights, count } of this.layers) tape.section(count, () => this.place(weights.parameters));
    this.finalNorm = outer.parameter(hiddenSize);
    this.place([this.finalNorm]);
    const columns = head === "value" ? 1 : Math.ceil(vocabSize / storage.tensorParallel);
    if (head === "language" && tiedEmbeddings) {
      const weight = this.embedding;
      this.head = { weight, bias: undefined, columns, adapter: undefined, quantised: false };
    } else {
      this.head = outer.linear(columns, hiddenSize, false, { adapted: false });
      this.place([this.head.weight]);
    }
  }

  /** The trained parameters, by section, as an optimizer goes through them. */
  get trained(): readonly { readonly count: number; readonly parameters: readonly Parameter[] }[] {
    const after = this.head.weight === this.embedding ? [this.finalNorm] : [this.finalNorm, this.head.weight];
    return [
      { count: 1, parameters: [this.embedding] },
      ...this.layers.map(({ weights, count }) => ({ count, parameters: weights.parameters })),
      { count: 1, parameters: after },
    ].map(({ count, parameters }) => ({ count, parameters: parameters.filter(({ trained }) => trained) }));
  }

  /** Logits and the log-probabilities of the tokens, or values. `training` keeps what the backward pass needs. */
  forward(options: PassOptions, training: boolean): Forward {
    const { tape, workspaces } = this;
    const graph = new Graph(tape, workspaces, "forward", training ? "keep" : "discard");
    const recorded: BackwardSection[] = [];
    const section = <T>(times: number, work: () => T): T => {
      const { result, nodes } = graph.collect(() => tape.section(times, work));
      recorded.push({ count: fixed(times), run: (backward) => backward.differentiate(nodes) });
      return result;
    };

    const embedded = section(1, () => this.embed(graph));
    const { itemBytes } = this.embedding;
    const mask = attentionMask(graph, options, itemBytes);
    const positions = rotationTables(graph, this.architecture, itemBytes);
    const pass = new Pass(graph, options, positions.slice(1));
    const left: { readonly count: number; readonly caches: readonly Tensor[]; readonly copies: readonly Tensor[] }[] =
      [];
    const letGo = (what: "caches" | "copies") => {
      for (const { count, ...tensors } of left) tape.section(count, () => drop(graph, ...tensors[what]));
    };
    let hidden = alias(graph, embedded);
    for (const { weights, count } of this.layers) {
      hidden = section(count, () => {
        const next =
          this.options.checkpointing && training
            ? this.checkpointed(pass, hidden, weights)
            : decoderLayer(pass, hidden, weights);
        drop(graph, hidden);
        return next;
      });
      left.push({ count, ...pass.take() });
    }
    const normed = section(1, () => {
      const result = tape.because("normalisation", () => rmsNorm(pass, hidden, this.finalNorm));
      drop(graph, hidden, embedded, mask, ...positions);
      return result;
    });
    const { lossRows } = this.options;
    if (this.options.head === "language" && lossRows !== undefined) {
      letGo("caches");
      const logits = (part: Pass, rows: Tensor) => this.top(part, rows);
      const loss = lossInParts(pass, normed, { lossRows, folded: this.options.folded, logits }, recorded);
      left.push({ count: 1, ...pass.take() });
      letGo("copies");
      return { output: undefined, loss, recorded };
    }
    const output = section(1, () => {
      const result = this.top(pass, normed);
      drop(graph, normed);
      return result;
    });
    left.push({ count: 1, ...pass.take() });
    letGo("caches");
    const loss = section(1, () =>
      this.options.head === "language" ? logProbabilities(pass, output, "held") : alias(graph, output),
    );
    letGo("copies");
    return { output, loss, recorded };
  }

  /** Logits or values. */
  private top(pass: Pass, normed: Tensor): Tensor {
    const language = this.options.head === "language";
    return this.tape.because(language ? "logits" : "value head", () => {
      const result = project(pass, normed, this.head);
      return language && this.architecture.cappedLogits ? capped(pass, result) : result;
    });
  }

  /** Differentiates the loss. */
  backward({ loss, recorded }: Forward): void {
    const graph = new Graph(this.tape, this.workspaces, "backward", "keep");
    const seed = this.tape.allocate(times(loss.elements, loss.itemBytes), "gradients of logits");
    if (loss.producer === undefined) this.tape.release(seed);
    else loss.producer.receive(this.tape, { block: seed, view: false });
    for (const { count, run } of recorded.toReversed()) {
      // A workspace that a repeated section asked for would count as often as the section is played.
      if (this.tape.amount(count) > 1) graph.multiplies("backward", this.options.checkpointing && this.biased);
      this.tape.section(count, () => run(graph));
    }
  }

  private get biased(): boolean {
    return this.layers.some(
      ({ weights: { attention } }) =>
        attention.output.bias !== undefined || (attention.kind === "grouped" && attention.query.bias !== undefined),
    );
  }

  private place(parameters: readonly Parameter[]): void {
    const { training } = this.options.storage;
    for (const { bytes, trained } of parameters) {
      this.tape.allocate(bytes, training.kind === "adapters" && trained ? "adapter weights" : "weights");
    }
  }

  private embed(graph: Graph): Tensor {
    const { embedding, architecture } = this;
    const result = graph.tensor(times(TOKENS, architecture.hiddenSize), embedding.itemBytes);
    const embedded = graph.record(result, [embedding], [], () => [
      { block: this.tape.allocate(embedding.bytes, "gradients"), view: false },
    ]);
    if (!architecture.scaledEmbeddings) return embedded;
    const scaled = mapped(graph, embedded);
    drop(graph, embedded);
    return scaled;
  }

  /** `torch.utils.checkpoint`: keeps the input; computes the layer again when its gradient comes, as far as that needs. */
  private checkpointed(pass: Pass, hidden: Tensor, weights: LayerWeights): Tensor {
    const { graph } = pass;
    const source = new Node([], [], "gradients of activations", () => []);
    const input = hidden.producer === undefined ? hidden : { ...hidden, producer: source };
    const outline = graph.outline(() => decoderLayer(pass, input, weights));
    return graph.record(
      { ...outline.result, producer: undefined },
      [hidden],
      graph.save(hidden, ...pass.rotation),
      (gradient) => {
        const inner = new Graph(this.tape, this.workspaces, "backward", "keep");
        outline.result.producer?.receive(this.tape, gradient);
        inner.differentiateOutline(outline.nodes, () => {
          const again = pass.onceMore(inner);
          const { result, nodes } = inner.collect(() =>
            inner.recompute(outline.saves, () => decoderLayer(again, input, weights)),
          );
          drop(inner, result, ...again.take().copies);
          return nodes;
        });
        return [source.gradient];
      },
      { takesGradient: true, always: weights.parameters.some(({ trained }) => trained) },
    );
  }
}

/** Layers that ask for the same memory, wherever they stand. */
function alike(architecture: Architecture, length: number): readonly LayerRun[] {
  const kinds = new Map<string, { layer: Layer; count: number }>();
  for (const { layer, count } of architecture.runs) {
    const { attention } = layer;
    const looksAtAll = attention.kind === "latent" || attention.window === undefined || attention.window >= length;
    const key = `${looksAtAll} ${shapeOf(layer)}`;
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, { layer, count });
    else known.count += count;
  }
  return [...kinds.values()];
}

const shapes = new WeakMap<Layer, string>();

/** A layer in words, but for how far it looks back. */
function shapeOf(layer: Layer): string {
  const known = shapes.get(layer);
  if (known !== undefined) return known;
  const shape = JSON.stringify([{ ...layer.attention, window: undefined }, layer.feedForward]);
  shapes.set(layer, shape);
  return shape;
}
