/** The footprint of a plan that is carried out by servers and trainers on PyTorch, on the GPU that holds most. */
import { MIB } from "../../../units.ts";
import { layoutOf } from "../../plan.ts";
import { sumOf, type Term } from "../../provenance.ts";
import type { ResolvedPlan } from "../../resolve.ts";
import type { Footprint, PassMemory } from "../footprint.ts";
import { type EngineMemory, engineMemory } from "./engine.ts";
import { type FrozenMemory, frozenMemory, type TrainedMemory, trainedMemory } from "./trainer.ts";

export interface LauncherMemory {
  readonly policy: TrainedMemory;
  readonly critic: TrainedMemory;
  readonly reference: FrozenMemory;
  readonly reward: FrozenMemory | undefined;
  readonly engine: EngineMemory;
}

export function launcherMemory(resolved: ResolvedPlan): LauncherMemory {
  return {
    policy: trainedMemory(resolved, resolved.policy),
    critic: trainedMemory(resolved, resolved.critic),
    reference: frozenMemory(resolved, resolved.reference),
    reward: resolved.reward && frozenMemory(resolved, resolved.reward),
    engine: engineMemory(resolved),
  };
}

/** PyTorch's allocator takes whole blocks of this size. */
const BLOCK_BYTES = 512;
const NOTHING: PassMemory = { activations: [], logits: [] };

export function launcherFootprint(resolved: ResolvedPlan): Footprint {
  const { policy, critic, reference, reward, engine } = launcherMemory(resolved);
  return {
    kept: {
      "engine.weights": engine.weights,
      "engine.kv_cache": engine.kvCache,
      "policy.weights": policy.weights,
      "policy.gradients": policy.gradients,
      "policy.optimizer": policy.optimizer,
      "critic.weights": critic.weights,
      "critic.gradients": critic.gradients,
      "critic.optimizer": critic.optimizer,
      "reference.weights": reference.weights,
      "reward.weights": reward?.weights ?? [],
    },
    passes: {
      score_policy: policy.score,
      score_reference: reference.score,
      score_reward: reward?.score ?? NOTHING,
      score_critic: critic.score,
      train_critic: critic.train,
      train_policy: policy.train,
    },
    // A server that sleeps empties its allocator's cache; its graphs stay.
    workspace: { terms: engine.forward, givenBackWith: ["engine.kv_cache", "engine.weights"] },
    engineFixed: [...engine.graphs, ...engine.requestTable],
    context: {
      trainer: [contextTerm("trainers' process"), ...ncclOf(resolved)],
      engine: [contextTerm("engine's process"), ...engine.nonTorch],
    },
    engine: {
      weightsBytes: sumOf(engine.weights),
      kvCacheBytes: sumOf(engine.kvCache),
      forwardBytes: sumOf(engine.forward) + sumOf(engine.requestTable),
      cudaGraphBytes: sumOf(engine.graphs),
      contextBytes: CONTEXT_BYTES,
      nonTorchBytes: sumOf(engine.nonTorch),
    },
    chunkBytes: BLOCK_BYTES,
  };
}

/** Measured with cuBLAS in use; without it, PyTorch's context took 620 MiB. */
const CONTEXT_BYTES = 770 * MIB;

function contextTerm(of: string): Term {
  return {
    cause: `CUDA context of the ${of}`,
    amount: CONTEXT_BYTES,
    provenance: "measured",
    source: "PyTorch with cuBLAS in use on an H100; other cards are taken to need as much",
  };
}

function ncclOf({ plan: { placement } }: ResolvedPlan): readonly Term[] {
  if (layoutOf(placement).trainerGpus === 1) return [];
  return [
    {
      cause: "NCCL of the trainers' process",
      amount: Math.round(0.41 * 1024) * MIB,
      provenance: "assumption",
      source: "as much as vLLM's at tensor parallelism 2",
    },
  ];
}
