/**
 * The planner's memory model against measurements: every stage of every step that was measured on a GPU, and every pool that
 * a server logged.
 */
import type { JsonObject } from "../../core/input/json.ts";
import { kvBytesPerToken, sglangPoolTokens } from "../../core/planner/memory/engine/kv-cache.ts";
import { asMeasured } from "../../core/planner/memory/estimate/as-measured.ts";
import { estimate } from "../../core/planner/memory/estimate/estimate.ts";
import { parseEstimateQuestion } from "../../core/planner/memory/estimate/question.ts";
import { type Architecture, parameterCount } from "../../core/planner/models/architecture.ts";
import { modelNamed } from "../../core/planner/models/catalogue.ts";
import { readArchitecture } from "../../core/planner/models/from-config.ts";
import { GIB } from "../../core/units.ts";
import { type Comparison, worst } from "./compare.ts";
import type { MemoryGolden, PoolRow, StepRow } from "./memory-file.ts";
import type { Stage } from "./stages.ts";

/** Relative errors: of any stage, of the median stage, of a pool's tokens; and how wide a band may be. */
const STAGE_TOLERANCE = 0.05;
const MEDIAN_TOLERANCE = 0.02;
const POOL_TOLERANCE = 0.003;
const BAND_WIDTH = 0.25;
/** Rows of logits at a time, in the rows of variant `chunked`. */
const CHUNK_ROWS = 512;

const STEPS = ["score", "first_step", "steady_step"] as const;

export function memoryStages({ steps, pools }: MemoryGolden): readonly Stage[] {
  /** Of every stage of every row, gathered as the rows are compared. */
  const errors: number[] = [];
  return [
    ...steps.map((row) => ({
      name: describeRow(row),
      tolerance: STAGE_TOLERANCE,
      run: async () => compareAllocated(row, errors),
    })),
    ...(steps.length === 0
      ? []
      : [
          { name: "median of all stages", tolerance: MEDIAN_TOLERANCE, run: async () => compareMedian(errors) },
          {
            name: "reserved within its band",
            tolerance: BAND_WIDTH,
            run: async () => worst(steps.map(compareReserved)),
          },
        ]),
    ...pools.map((row) => ({
      name: `SGLang pool ${row.id}, ${row.model}`,
      tolerance: POOL_TOLERANCE,
      run: async () => comparePool(row),
    })),
  ];
}

function describeRow(row: StepRow): string {
  const { model, workload, batch, sequence, precision, gradient_checkpointing: checkpointing, lora, attention } = row;
  const more = [
    precision === "bf16" ? undefined : precision === "fp32" ? precision : "fp32 master",
    checkpointing ? "checkpointing" : undefined,
    attention === "sdpa" ? undefined : attention,
    lora > 0 ? `LoRA ${lora}` : undefined,
    row.variant === "plain" ? undefined : row.variant,
  ].filter((word) => word !== undefined);
  return [`${model} ${workload} ${batch}×${sequence}`, ...more].join(", ");
}

function architectureOf({ model, config_as: like, config }: StepRow | PoolRow): Architecture {
  return config === undefined
    ? modelNamed(like ?? model)
    : readArchitecture(config as JsonObject, `${model}'s config`).architecture;
}

/** The prediction under the fixture's names. */
function predicted(row: StepRow): Readonly<Record<string, unknown>> {
  const { variant, lora } = row;
  const question = parseEstimateQuestion({
    workload: row.workload,
    batch: row.batch,
    sequence: row.sequence,
    precision: row.precision === "fp32-master-autocast-bf16" ? "fp32-master" : row.precision,
    gradientCheckpointing: row.gradient_checkpointing,
    attention: row.attention,
    masked: variant === "padded" || variant === "packed",
    head: variant === "value" ? "value" : "language",
    ...(variant === "chunked" && { lossRows: CHUNK_ROWS }),
    ...(lora > 0 && { loraRank: lora }),
  });
  return asMeasured(row.model, question, estimate(architectureOf(row), question));
}

/** Measured figures beside predicted ones, by step and name. */
function* figuresOf(row: StepRow, answer: Readonly<Record<string, unknown>>) {
  for (const step of STEPS) {
    const measured = row[step];
    const computed = answer[step];
    if (measured === undefined || typeof computed !== "object" || computed === null) continue;
    const values: Readonly<Record<string, unknown>> = { ...computed };
    for (const [name, value] of Object.entries(measured)) {
      yield { name: `${step}.${name}`, measured: value, computed: values[name], band: values[bandOf(name)] };
    }
  }
}

const bandOf = (name: string) => name.replace(/_mib$/, "_band_mib");

function compareAllocated(row: StepRow, errors: number[]): Comparison {
  if (row.parameters !== undefined && row.lora === 0) {
    const counted = parameterCount(architectureOf(row), row.variant === "value" ? "value" : "language");
    if (counted !== row.parameters) {
      return { worstError: Number.POSITIVE_INFINITY, failure: `${counted} parameters, measured ${row.parameters}` };
    }
  }
  const comparisons = [...figuresOf(row, predicted(row))]
    .filter(({ name }) => name.endsWith("_allocated_mib"))
    .map(({ name, measured, computed }) => {
      const comparison = compareRelative(name, measured, computed, STAGE_TOLERANCE);
      errors.push(comparison.worstError);
      return comparison;
    });
  if (comparisons.length === 0) return { worstError: Number.POSITIVE_INFINITY, failure: "nothing was measured" };
  return worst(comparisons);
}

function compareMedian(errors: readonly number[]): Comparison {
  const sorted = [...errors].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.POSITIVE_INFINITY;
  const median = sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2;
  return {
    worstError: median,
    failure: median <= MEDIAN_TOLERANCE ? undefined : `the median error of ${sorted.length} stages is ${median}`,
  };
}

/** The error is the width of the band; infinite where the measured figure lies outside of it. */
function compareReserved(row: StepRow): Comparison {
  const comparisons = [...figuresOf(row, predicted(row))]
    .filter(({ name }) => name.endsWith("_reserved_mib"))
    .map(({ name, measured, band }): Comparison => {
      const [lowest, highest] = Array.isArray(band) ? band : [];
      const width = typeof lowest === "number" && typeof highest === "number" ? highest / lowest - 1 : Number.NaN;
      const where = `${describeRow(row)}: ${name}`;
      if (!(measured >= lowest && measured <= highest)) {
        return {
          worstError: Number.POSITIVE_INFINITY,
          failure: `${where} is ${measured}, predicted ${lowest} to ${highest}`,
        };
      }
      return { worstError: width, failure: width <= BAND_WIDTH ? undefined : `${where} has a band of ${width}` };
    });
  return worst(comparisons);
}

function comparePool(row: PoolRow): Comparison {
  const bytesPerToken = kvBytesPerToken(architectureOf(row), 2, row.tensor_parallel);
  const start = {
    beforeBytes: row.avail_before_gib * GIB,
    afterBytes: row.avail_after_gib * GIB,
    memFractionStatic: row.mem_fraction_static,
  };
  return compareRelative("tokens", row.tokens, sglangPoolTokens(start, bytesPerToken), POOL_TOLERANCE);
}

function compareRelative(name: string, measured: number, computed: unknown, tolerance: number): Comparison {
  const error = typeof computed === "number" ? Math.abs(computed / measured - 1) : Number.POSITIVE_INFINITY;
  const worstError = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  return {
    worstError,
    failure: worstError <= tolerance ? undefined : `${name} is ${computed}, measured ${measured}`,
  };
}
