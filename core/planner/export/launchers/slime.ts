/** slime: Megatron trains, SGLang samples (slime/utils/arguments.py; SGLang's own flags with the prefix `--sglang-`). */
import { layoutOf, modelName, type Plan } from "../../plan.ts";
import { sglangBudget } from "../budget.ts";
import { type Argument, argument, present } from "../command.ts";
import { loadedModel, nodesOf, sequenceTokens, TORCH_DTYPES, type Writer } from "../draft.ts";
import {
  notOnDisk,
  notOneCopy,
  notOneOfTwo,
  notQuantised,
  notWhole,
  releasedOf,
  type Unexpressed,
} from "../unexpressed.ts";

/** slime's own number of GPUs of a machine. */
const DEFAULT_GPUS_PER_NODE = 8;

const ATTENTION = { eager: "unfused", sdpa: "fused", flash: "flash" } as const;

export const writeSlime: Writer = (plan, figures) => {
  const { workload, strategies } = plan;
  const { policy, engine } = workload;
  // Engines start on empty GPUs and are put to sleep before the trainers are made.
  const budget = sglangBudget(figures, "first");
  return {
    commands: [
      {
        starts: "PPO",
        environment: [],
        program: "python3 train.py",
        syntax: "flags",
        arguments: present(
          argument("--hf-checkpoint", loadedModel(policy.model)),
          argument("--ref-load", loadedModel(workload.reference.model)),
          argument("--advantage-estimator", "ppo"),
          argument("--use-kl-loss"),
          ...placed(plan),
          argument("--micro-batch-size", workload.microBatch),
          argument("--rollout-batch-size", workload.batch),
          argument("--global-batch-size", workload.batch),
          argument("--rollout-max-prompt-len", workload.promptTokens),
          argument("--rollout-max-response-len", workload.responseTokens),
          policy.precision === "fp16" && argument("--fp16"),
          argument("--attention-backend", ATTENTION[workload.attention]),
          argument("--optimizer", policy.optimizer === "sgd" ? "sgd" : "adam"),
          ...(policy.gradientCheckpointing ? RECOMPUTE : []),
          workload.lossChunkTokens !== undefined && argument("--log-probs-chunk-size", workload.lossChunkTokens),
          strategies.swap.method === "bucketed" && argument("--update-weight-buffer-size", strategies.swap.bucketBytes),
          argument("--sglang-dtype", TORCH_DTYPES[engine.precision]),
          argument("--sglang-context-length", sequenceTokens(plan)),
          budget.fraction !== undefined && argument("--sglang-mem-fraction-static", budget.fraction),
          engine.runningSequences !== undefined && argument("--sglang-max-running-requests", engine.runningSequences),
          engine.kvCacheType !== "auto" && argument("--sglang-kv-cache-dtype", engine.kvCacheType),
          !engine.cudaGraphs && argument("--sglang-disable-cuda-graph"),
        ),
      },
    ],
    unexpressed: [
      ...placementGaps(plan),
      ...notWhole(plan, layoutOf(plan.placement).trainers),
      ...trainingGaps(plan),
      ...memoryGaps(plan),
      ...budget.unexpressed,
    ],
    notes: present(
      budget.note,
      "--hf-checkpoint is a Hugging Face folder, --ref-load the same model converted for Megatron.",
      "The reference waits in host memory and takes the policy's place while it scores: it costs no GPU memory of its own.",
      "--use-kl-loss makes slime load the reference; its weight in the loss is --kl-loss-coef.",
      workload.reward === "rule" && "Name your reward with --rm-type or --custom-rm-path.",
    ),
  };
};

const RECOMPUTE = [
  argument("--recompute-granularity", "full"),
  argument("--recompute-method", "uniform"),
  argument("--recompute-num-layers", 1),
];

function placed(plan: Plan): readonly Argument[] {
  const { placement } = plan;
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const { nodes, gpusPerNode } = nodesOf(trainerGpus, placement.gpusPerNode);
  const { kvCache, weights } = releasedOf(plan);
  const colocated = placement.kind === "colocated";
  return present(
    argument("--actor-num-nodes", nodes),
    argument("--actor-num-gpus-per-node", gpusPerNode),
    colocated && gpusPerNode !== DEFAULT_GPUS_PER_NODE && argument("--num-gpus-per-node", gpusPerNode),
    colocated ? argument("--colocate") : argument("--rollout-num-gpus", engineGpus),
    colocated && !kvCache && !weights && argument("--no-offload-rollout"),
    argument("--rollout-num-gpus-per-engine", placement.engineTensorParallel),
    argument("--tensor-model-parallel-size", placement.tensorParallel),
  );
}

// ---------------------------------------------------------------------------------------------------------------------
// What it cannot say

function placementGaps(plan: Plan): readonly Unexpressed[] {
  const { placement } = plan;
  return present<Unexpressed>(
    ...(placement.kind === "colocated" ? notOneOfTwo(plan, "--offload-rollout") : []),
    placement.zeroStage !== 1 &&
      layoutOf(placement).trainers > 1 && {
        what: `ZeRO ${placement.zeroStage}`,
        why: "Megatron's distributed optimizer shards the optimizer only",
        nearest: "ZeRO 1, as written",
      },
  );
}

function trainingGaps({ workload }: Plan): readonly Unexpressed[] {
  const { policy, critic, packing } = workload;
  return present<Unexpressed>(
    policy.precision === "fp32" && {
      what: "fp32 weights on the device",
      why: "slime trains in 16 bits",
      nearest: "bf16 with float32 masters, as written",
    },
    policy.precision !== "fp32" &&
      !policy.masterWeights && {
        what: "16-bit training without float32 master weights",
        why: "Megatron keeps them, and gradients in float32",
        nearest: "plan with masterWeights, 4 bytes per parameter more",
      },
    (policy.lora !== undefined || critic.lora !== undefined) && {
      what: "LoRA",
      why: "slime trains all weights",
      nearest: "all weights",
    },
    (policy.optimizer === "adamw_8bit" || policy.optimizer === "adamw_bf16") && {
      what: `optimizer ${policy.optimizer}`,
      why: "moments are in float32",
      nearest: "adam, as written",
    },
    critic.gradientCheckpointing !== policy.gradientCheckpointing && {
      what: "gradient checkpointing of the critic other than the policy's",
      why: "one set of flags is for both",
      nearest: "a role's own in --megatron-config-path",
    },
    modelName(critic.model) !== modelName(policy.model) && {
      what: `critic ${modelName(critic.model)}`,
      why: "policy and critic have one shape",
      nearest: "the policy's model; other weights of it in --megatron-config-path",
    },
    !packing && {
      what: "padded sequences",
      why: "slime always packs",
      nearest: "packed: less memory",
    },
  );
}

function memoryGaps(plan: Plan): readonly Unexpressed[] {
  const { workload, strategies } = plan;
  return present<Unexpressed>(
    !strategies.optimizerOnHost && {
      what: "optimizer on the GPU while the engine samples",
      why: "with a critic slime always offloads the trainer between its phases",
      nearest: "offloaded: less memory, more transfers",
    },
    strategies.reference === "resident" && {
      what: "reference on the GPU between its phases",
      why: "it is kept in host memory and swapped with the policy",
      nearest: "on the host: less memory, more transfers",
    },
    workload.reward !== "rule" && {
      what: "reward model on these GPUs",
      why: "slime asks a server or a function for rewards",
      nearest: "--rm-type remote_rm with --rm-url",
    },
    ...notOnDisk(plan, "slime"),
    ...notQuantised(plan, "the reference has the policy's precision", "the policy's precision"),
    ...notOneCopy(plan, "a copy in buckets; --offload-train has the policy on the host while the engine samples"),
    strategies.swap.method === "copy" && {
      what: "weights in one device copy",
      why: "they go through a buffer",
      nearest: "the default buffer, 512 MiB",
    },
  );
}
