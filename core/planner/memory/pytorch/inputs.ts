/** What a pass makes of its inputs before the first layer: the attention mask, and the tables of the rotation. */
import type { Architecture } from "../../models/architecture.ts";
import type { Graph, Tensor } from "./autograd.ts";
import { PAIRS, POSITIONS, times } from "./count.ts";
import { cast, drop, SINGLE } from "./operators.ts";
import type { PassOptions } from "./pass.ts";

/** Which positions a query may look at, where that is more than "those before": one byte for each pair of positions. */
export function attentionMask(graph: Graph, { batch, attention }: PassOptions, itemBytes: number): Tensor | undefined {
  if (attention !== "eager" && !(attention === "sdpa" && batch.masked)) return undefined;
  return graph.tape.because("attention mask", () => {
    const draft = graph.tensor(PAIRS, 1);
    const result = graph.tensor(PAIRS, attention === "eager" ? itemBytes : 1);
    drop(graph, draft);
    return result;
  });
}

/** The positions, and the cosine and sine of each, made in float32. */
export function rotationTables(graph: Graph, { runs }: Architecture, itemBytes: number): readonly Tensor[] {
  return graph.tape.because("token ids and positions", () => {
    const width = Math.max(
      ...runs.map(({ layer: { attention } }) =>
        attention.kind === "grouped" ? attention.headDim : attention.rotatedHeadDim,
      ),
    );
    const positions = graph.tensor(POSITIONS, 2 * SINGLE);
    const single = graph.tensor(POSITIONS, SINGLE);
    const angles = graph.tensor(times(POSITIONS, width / 2), SINGLE);
    graph.multiplies("forward", false);
    const both = graph.tensor(times(POSITIONS, width), SINGLE);
    const tables = [0, 1].map(() => {
      const values = graph.tensor(times(POSITIONS, width), SINGLE);
      const scaled = graph.tensor(times(POSITIONS, width), SINGLE);
      drop(graph, values);
      return scaled;
    });
    const stored = tables.map((table) => cast(graph, table, itemBytes));
    drop(graph, single, angles, both, ...tables);
    return [positions, ...stored];
  });
}
