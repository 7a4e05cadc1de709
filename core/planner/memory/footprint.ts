/**
 * What a plan's consumers take, each by itself, before anything is said about when they are there: the schedule decides
 * that. Whoever runs the loop has a footprint of its own: servers and trainers on PyTorch (launcher/), or the embedded
 * engine (embedded/).
 */
import { SCHEDULED_CONSUMERS, type ScheduledConsumer, type Work } from "../../schedule/works.ts";
import type { EngineFigures } from "../export/figures.ts";
import type { Term } from "../provenance.ts";

/** Taken by a pass while it computes, and kept for the next one until it is given back. */
export const PASS_CONSUMERS = ["activations", "logits", "workspace"] as const;
export type PassConsumer = (typeof PASS_CONSUMERS)[number];
export type KeptConsumer = Exclude<ScheduledConsumer, PassConsumer>;

export const KEPT_CONSUMERS: readonly KeptConsumer[] = SCHEDULED_CONSUMERS.filter(
  (consumer): consumer is KeptConsumer => !PASS_CONSUMERS.some((pass) => pass === consumer),
);

type Terms = readonly Term[];

/** Trainers and engines share GPUs, or have their own. */
export const GPU_GROUPS = ["trainer", "engine"] as const;
export type GpuGroup = (typeof GPU_GROUPS)[number];

/** What computes in a work, at its peak, beside weights, gradients and optimizer. */
export interface PassMemory {
  readonly activations: Terms;
  readonly logits: Terms;
}

export interface Footprint {
  /** Of each consumer while it is resident. */
  readonly kept: Readonly<Record<KeptConsumer, Terms>>;
  /** Of the works that compute with a trainer's memory. */
  readonly passes: Readonly<Partial<Record<Work, PassMemory>>>;
  /** Of the engine's forward passes; kept from one to the next until one of `givenBackWith` is released. */
  readonly workspace: { readonly terms: Terms; readonly givenBackWith: readonly ScheduledConsumer[] };
  /** Of the engine, as long as it lives. */
  readonly engineFixed: Terms;
  /** Of each group's processes, as long as they live. */
  readonly context: Readonly<Record<GpuGroup, Terms>>;
  /** The same in the pieces in which servers count their memory. */
  readonly engine: Omit<EngineFigures, "trainersAtStartBytes">;
  /** Memory is taken in pieces of this size. */
  readonly chunkBytes: number;
}

/** Where a consumer's memory is when trainers and engines have GPUs of their own. */
export function groupOf(consumer: ScheduledConsumer): GpuGroup {
  return consumer.startsWith("engine.") || consumer === "workspace" ? "engine" : "trainer";
}

export function wholeChunks(bytes: number, chunkBytes: number): number {
  return Math.ceil(bytes / chunkBytes) * chunkBytes;
}
