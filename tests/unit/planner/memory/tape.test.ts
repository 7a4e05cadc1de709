/** The tape against PyTorch itself: allocation by allocation for dense models, at the peak for all others. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type StepOptions, scoreTape, trainTape } from "../../../../core/planner/memory/pytorch/step.ts";
import type { Tape } from "../../../../core/planner/memory/pytorch/tape.ts";
import type { Architecture, Attention, FeedForward } from "../../../../core/planner/models/architecture.ts";
import { architectureOf, describeRecording, optionsOf, RECORDINGS, type Recording } from "./recorded.ts";

/** Smaller ones are counters, indices and positions, of which the tape leaves some out. */
const WORTH_COMPARING = 20_000;
const BLOCK = 512;
const rounded = (bytes: number) => Math.ceil(bytes / BLOCK) * BLOCK;

function tapeOf(recording: Recording): Tape {
  const options = optionsOf(recording, false);
  const architecture = architectureOf(recording);
  return recording.workload === "score" ? scoreTape(architecture, options) : trainTape(architecture, options, 1);
}

/** Signed bytes in order, from the model's inputs on. */
function predictedEvents(tape: Tape): readonly number[] {
  const bytesOf = (event: number) => rounded(tape.blocks[event >= 0 ? event : ~event]?.requestedBytes ?? 0);
  const first = tape.events.findIndex((event) => tape.blocks[event]?.cause === "token ids and positions");
  return tape.events.slice(first + 1).map((event) => (event >= 0 ? bytesOf(event) : -bytesOf(event)));
}

function recordedEvents({ events }: Recording): readonly number[] {
  const sizes = events.filter((event) => event > 0);
  return events.map((event) => (event > 0 ? rounded(event) : -rounded(sizes[-1 - event] ?? 0)));
}

const allocations = (events: readonly number[]) => events.filter((bytes) => bytes >= WORTH_COMPARING);

function highest(events: readonly number[]): number {
  let live = 0;
  let most = 0;
  for (const bytes of events) {
    live += bytes;
    most = Math.max(most, live);
  }
  return most;
}

const isDense = ({ model, variant, attention, lora, optimizer }: Recording) =>
  !/moe|mixtral|deepseek|window/.test(model) &&
  (variant === "plain" || variant === "value") &&
  attention === "sdpa" &&
  lora === 0 &&
  optimizer !== "adamw-foreach";

describe("every allocation of a step, in order", () => {
  const cases = RECORDINGS.filter((recording) => isDense(recording)).map(
    (recording) => [describeRecording(recording), recording] as const,
  );
  expect(cases.length).toBeGreaterThan(20);
  test.each(cases)("%s", (_, recording) => {
    expect(allocations(predictedEvents(tapeOf(recording)))).toEqual(allocations(recordedEvents(recording)));
  });
});

describe("the peak of a step", () => {
  test.each(RECORDINGS.map((recording) => [describeRecording(recording), recording] as const))("%s", (_, recording) => {
    const predicted = highest(predictedEvents(tapeOf(recording)));
    const recorded = highest(recordedEvents(recording));
    expect(predicted / recorded).toBeGreaterThan(0.98);
    expect(predicted / recorded).toBeLessThan(1.01);
  });
});

describe("layers that are alike are recorded once", () => {
  test.each(RECORDINGS.map((recording) => [describeRecording(recording), recording] as const))("%s", (_, recording) => {
    expectFoldingChangesNothing(architectureOf(recording), recording);
  });

  test("for models that nobody has seen", () => {
    fc.assert(
      // A row of 64 tokens has 63 targets: in parts that leave a rest, and in parts that leave none.
      fc.property(
        architecture,
        fc.constantFrom(...RECORDINGS.map((recording) => ({ ...recording, events: [] }))),
        fc.constantFrom(undefined, 2, 7, 9, 21, 32, 63, 100),
        (model, recording, lossRows) => {
          expectFoldingChangesNothing(model, { ...recording, batch: 1, sequence: 64 }, { lossRows });
        },
      ),
      { numRuns: 60 },
    );
  });
});

function expectFoldingChangesNothing(
  model: Architecture,
  recording: Recording,
  changes: Partial<StepOptions> = {},
): void {
  const play = (folded: boolean) => {
    const options = { ...optionsOf(recording, folded), ...changes };
    return (recording.workload === "score" ? scoreTape(model, options) : trainTape(model, options)).stages();
  };
  const folded = play(true);
  // A workspace of 1 MiB may be asked for earlier, and a vocabulary's rest of a part of the loss once too often.
  for (const [at, stage] of play(false).entries()) {
    expect(folded[at]?.name).toBe(stage.name);
    expect(Math.abs((folded[at]?.endBytes ?? 0) - stage.endBytes)).toBeLessThanOrEqual(2 ** 20);
    expect(Math.abs((folded[at]?.peakBytes ?? 0) - stage.peakBytes)).toBeLessThanOrEqual(2 ** 21);
  }
}

const attention: fc.Arbitrary<Attention> = fc.oneof(
  fc
    .record({
      kvHeads: fc.constantFrom(1, 2, 4),
      headDim: fc.constantFrom(16, 32),
      qkNorm: fc.boolean(),
      bias: fc.boolean(),
    })
    .map(
      ({ kvHeads, headDim, qkNorm, bias }): Attention => ({
        kind: "grouped",
        heads: 4,
        kvHeads,
        headDim,
        qkvBias: bias,
        outputBias: false,
        qkNorm,
        window: undefined,
      }),
    ),
  fc.constantFrom(undefined, 24).map(
    (queryRank): Attention => ({
      kind: "latent",
      heads: 4,
      queryRank,
      kvRank: 32,
      plainHeadDim: 16,
      rotatedHeadDim: 8,
      valueHeadDim: 16,
      bias: false,
    }),
  ),
);
const feedForward: fc.Arbitrary<FeedForward> = fc.oneof(
  fc.record({ kind: fc.constant("gated" as const), intermediate: fc.constantFrom(96, 160), bias: fc.constant(false) }),
  fc.record({ shared: fc.constantFrom(0, 48), active: fc.constantFrom(1, 2) }).map(
    ({ shared, active }): FeedForward => ({
      kind: "experts",
      experts: 4,
      active,
      intermediate: 48,
      shared,
      sharedGate: false,
      routerBias: false,
      routerInFloat32: false,
    }),
  ),
);
const architecture: fc.Arbitrary<Architecture> = fc
  .record({
    runs: fc.array(fc.record({ count: fc.integer({ min: 1, max: 7 }), layer: fc.record({ attention, feedForward }) }), {
      minLength: 1,
      maxLength: 3,
    }),
    tiedEmbeddings: fc.boolean(),
    gemma: fc.boolean(),
  })
  .map(({ runs, tiedEmbeddings, gemma }) => ({
    family: "random",
    vocabSize: 1000,
    hiddenSize: 64,
    maxPositions: 4096,
    runs,
    tiedEmbeddings,
    norm: gemma ? "gemma" : "llama",
    sandwichNorms: gemma,
    scaledEmbeddings: gemma,
    cappedLogits: gemma,
  }));
