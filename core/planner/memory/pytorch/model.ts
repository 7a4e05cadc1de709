/** A whole model on a tape: its weights, its forward pass, and the operators that the backward pass will run. */
import type { Architecture, Head, Layer, LayerRun } from "../../models/architecture.ts";
import { Graph, Node, type Parameter, type Tensor } from "./autograd.ts";
import { decoderLayer } from "./decoder.ts";
import { capped, logProbabilities } from "./heads.ts";
import { rmsNorm } from "./norm.ts";
import { alias, cast, drop, mapped, SINGLE } from "./operators.ts";
import { type Batch, Pass, type PassOptions, type Workspaces } from "./pass.ts";
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

interface BackwardSection {
  readonly count: number;
  readonly run: (graph: Graph) => void;
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
    const section = <T>(count: number, work: () => T): T => {
      const { result, nodes } = graph.collect(() => tape.section(count, work));
      recorded.push({ count, run: (backward) => backward.differentiate(nodes) });
      return result;
    };

    const embedded = section(1, () => this.embed(graph, options.batch));
    const mask = this.mask(graph, options);
    const positions = this.positions(graph, options.batch);
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
      const loss = this.chunkedLoss(pass, normed, lossRows, recorded);
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

  /**
   * Logits and log-probabilities of some rows at a time, each under gradient checkpointing: only one part's logits are ever
   * there.
   */
  private chunkedLoss(pass: Pass, normed: Tensor, lossRows: number, recorded: BackwardSection[]): Tensor {
    const { tape } = this;
    const { graph, batch } = pass;
    const rows = batch.sequences * (batch.length - 1);
    const whole = Math.floor(rows / lossRows);
    const counts = this.options.folded ? [Math.min(1, whole), whole - 1] : Array<number>(whole).fill(1);
    const parts = [
      ...counts.map((count) => ({ count, rows: lossRows })),
      { count: rows % lossRows === 0 ? 0 : 1, rows: rows % lossRows },
    ].filter(({ count }) => count > 0);
    const width = normed.elements / pass.tokens;
    const chunks = parts.map(({ count, rows: ofPart }) => {
      const source = new Node([], [], "gradients of logits", () => []);
      const input = { ...normed, elements: ofPart * width, producer: normed.producer && source };
      const part = pass.ofRows(graph, ofPart);
      const { loss, backward } = tape.section(count, () => this.checkpointedLoss(part, input));
      return { count, source, loss, backward };
    });
    const loss = tape.because("log-probabilities", () => graph.tensor(rows, SINGLE));
    for (const { count, loss: part } of chunks) tape.section(count, () => drop(graph, part));
    if (graph.mode === "discard") drop(graph, normed);
    // Read backward: each part hands in the gradient of its rows; those are joined, and let go.
    for (const { count, source } of chunks) {
      recorded.push({
        count,
        run: () => {
          if (source.gradient !== undefined) tape.release(source.gradient.block);
          source.gradient = undefined;
        },
      });
    }
    recorded.push({
      count: 1,
      run: () => {
        drop(graph, normed);
        const block = tape.allocate(normed.elements * normed.itemBytes, "gradients of activations");
        if (normed.producer === undefined) tape.release(block);
        else normed.producer.receive(tape, { block, view: false });
      },
    });
    for (const { count, backward } of chunks) recorded.push({ count, run: backward });
    return loss;
  }

  private checkpointedLoss(pass: Pass, input: Tensor) {
    const { graph } = pass;
    const compute = (again: Pass) => logProbabilities(again, this.top(again, input), "last use");
    const training = graph.mode === "keep";
    const { result: loss, saves } = graph.outline(() => compute(pass), training);
    const backward = (inner: Graph) => {
      const again = pass.onceMore(inner);
      const { result, nodes } = inner.collect(() => inner.recompute(saves, () => compute(again)));
      const gradient = this.tape.allocate(result.elements * SINGLE, "gradients of logits");
      drop(inner, result, ...again.take().copies);
      result.producer?.receive(this.tape, { block: gradient, view: false });
      inner.differentiate(nodes);
    };
    return { loss, backward };
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
    const seed = this.tape.allocate(loss.elements * loss.itemBytes, "gradients of logits");
    if (loss.producer === undefined) this.tape.release(seed);
    else loss.producer.receive(this.tape, { block: seed, view: false });
    for (const { count, run } of recorded.toReversed()) {
      // A workspace that a repeated section asked for would count as often as the section is played.
      if (count > 1) graph.multiplies("backward", this.options.checkpointing && this.biased);
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

  private embed(graph: Graph, { sequences, length }: Batch): Tensor {
    const { embedding, architecture } = this;
    const result = graph.tensor(sequences * length * architecture.hiddenSize, embedding.itemBytes);
    const embedded = graph.record(result, [embedding], [], () => [
      { block: this.tape.allocate(embedding.bytes, "gradients"), view: false },
    ]);
    if (!architecture.scaledEmbeddings) return embedded;
    const scaled = mapped(graph, embedded);
    drop(graph, embedded);
    return scaled;
  }

  /** Which positions a query may look at, where that is more than "those before": one byte for each pair of positions. */
  private mask(graph: Graph, { batch, attention }: PassOptions): Tensor | undefined {
    const pairs = batch.sequences * batch.length * batch.length;
    const written = attention === "eager" ? this.embedding.itemBytes : 1;
    if (attention !== "eager" && !(attention === "sdpa" && batch.masked)) return undefined;
    return this.tape.because("attention mask", () => {
      const draft = graph.tensor(pairs, 1);
      const result = graph.tensor(pairs, written);
      drop(graph, draft);
      return result;
    });
  }

  /** Cosines and sines of every position, made in float32, and the positions. */
  private positions(graph: Graph, batch: Batch): readonly Tensor[] {
    const { tape, embedding } = this;
    return tape.because("token ids and positions", () => {
      const width = Math.max(
        ...this.architecture.runs.map(({ layer: { attention } }) =>
          attention.kind === "grouped" ? attention.headDim : attention.rotatedHeadDim,
        ),
      );
      const positions = graph.tensor(batch.length, 2 * SINGLE);
      const single = graph.tensor(batch.length, SINGLE);
      const angles = graph.tensor((batch.length * width) / 2, SINGLE);
      graph.multiplies("forward", false);
      const both = graph.tensor(batch.length * width, SINGLE);
      const tables = [0, 1].map(() => {
        const values = graph.tensor(batch.length * width, SINGLE);
        const scaled = graph.tensor(batch.length * width, SINGLE);
        drop(graph, values);
        return scaled;
      });
      const stored = tables.map((table) => cast(graph, table, embedding.itemBytes));
      drop(graph, single, angles, both, ...tables);
      return [positions, ...stored];
    });
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
    const key = JSON.stringify([{ ...attention, window: looksAtAll }, layer.feedForward]);
    const known = kinds.get(key);
    if (known === undefined) kinds.set(key, { layer, count });
    else known.count += count;
  }
  return [...kinds.values()];
}
