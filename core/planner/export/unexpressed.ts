/** What a plan asks for and a launcher has no words for; said beside every export instead of being dropped. */
import type { Plan } from "../plan.ts";
import { present } from "./command.ts";

export interface Unexpressed {
  /** Of the plan: "int8 reference". */
  readonly what: string;
  readonly why: string;
  /** What the launcher does instead, or can be made to do. */
  readonly nearest: string;
}

/** Frozen models on disk: no launcher moves one there. */
export function notOnDisk({ strategies }: Plan, launcher: string): readonly Unexpressed[] {
  return (["reference", "reward"] as const)
    .filter((role) => strategies[role] === "disk")
    .map((role) => ({
      what: `${role} on disk`,
      why: `${launcher} offloads to host memory only`,
      nearest: "on the host, where the launcher can",
    }));
}

/** Frozen models in fewer than 16 bits. */
export function notQuantised(plan: Plan, why: string, nearest: string): readonly Unexpressed[] {
  return (["reference", "reward"] as const)
    .filter((role) => storedBits(plan, role) !== undefined)
    .map((role) => ({ what: `${storedBits(plan, role)} ${role}`, why, nearest }));
}

function storedBits({ workload, strategies }: Plan, role: "reference" | "reward"): string | undefined {
  const frozen = workload[role];
  if (frozen === "rule") return undefined;
  if (strategies.int8[role]) return "int8";
  return ["int8", "fp8", "nf4"].includes(frozen.precision) ? frozen.precision : undefined;
}

/** One copy of the weights for policy and engine, always or in turn. */
export function notOneCopy({ strategies }: Plan, instead: string): readonly Unexpressed[] {
  return present<Unexpressed>(
    strategies.swap.method === "share" && {
      what: "engine reads the policy's weights",
      why: "trainer and engine lay their weights out differently, each in memory of its own",
      nearest: instead,
    },
    strategies.singlePolicyCopy !== "off" && {
      what: "one policy copy on the GPU at any time",
      why: "both copies are there while the engine's is written",
      nearest: instead,
    },
  );
}

/** A switch that the launcher has once for policy and critic. */
export function notPerRole({ workload: { policy, critic } }: Plan, launcher: string): readonly Unexpressed[] {
  const differs = (what: string, own: unknown, other: unknown): Unexpressed | false =>
    own !== other && {
      what: `${what} of the critic other than the policy's`,
      why: `${launcher} has one switch for both`,
      nearest: "the policy's, as written",
    };
  return present(
    differs("precision", critic.precision, policy.precision),
    differs("LoRA", critic.lora?.rank, policy.lora?.rank),
    differs("gradient checkpointing", critic.gradientCheckpointing, policy.gradientCheckpointing),
    differs("optimizer", critic.optimizer, policy.optimizer),
  );
}

/** Rollouts that do not come out as whole micro-batches, which launchers refuse when they start. */
export function notWhole({ workload }: Plan, trainers: number): readonly Unexpressed[] {
  const { batch, microBatch } = workload;
  if (batch % (microBatch * trainers) === 0) return [];
  const each = trainers === 1 ? "the trainer takes" : `each of ${trainers} trainers takes`;
  return [
    {
      what: `${batch} rollouts a step`,
      why: `${each} whole micro-batches of ${microBatch}`,
      nearest: "another batch or micro-batch",
    },
  ];
}

/** For an engine whose sleep takes KV cache and weights together. */
export function notOneOfTwo(plan: Plan, mechanism: string): readonly Unexpressed[] {
  const { kvCache, weights } = releasedOf(plan);
  if (kvCache === weights) return [];
  return [
    {
      what: kvCache ? "release of the KV cache alone" : "release of the engine's weights alone",
      why: `${mechanism} releases KV cache and weights together`,
      nearest: "both, as written",
    },
  ];
}

/** Which parts of the engine are given up while it is idle. */
export function releasedOf({ strategies }: Plan): { readonly kvCache: boolean; readonly weights: boolean } {
  return {
    kvCache: strategies.releaseKvCache,
    weights: strategies.releaseEngineWeights || strategies.singlePolicyCopy !== "off",
  };
}

/** Log-probs in chunks, where the launcher does not know them. */
export function notChunked({ workload }: Plan, nearest: string): readonly Unexpressed[] {
  if (workload.lossChunkTokens === undefined) return [];
  const what = `log-probs ${workload.lossChunkTokens} tokens at a time`;
  return [{ what, why: "there is no size of a chunk to set", nearest }];
}
