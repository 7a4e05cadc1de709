/**
 * OpenRLHF: `train_ppo_ray`, with flags in dotted groups since 0.10.2 and plain before (openrlhf/cli/train_ppo_ray.py of
 * the releases).
 */
import { layoutOf, modelName, type Plan } from "../../plan.ts";
import { vllmBudget } from "../budget.ts";
import { type Argument, argument, present } from "../command.ts";
import { loadedModel, nodesOf, sequenceTokens, type Writer } from "../draft.ts";
import { atLeast, type Version } from "../target.ts";
import {
  notChunked,
  notOnDisk,
  notOneCopy,
  notOneOfTwo,
  notPerRole,
  notQuantised,
  notWhole,
  releasedOf,
  type Unexpressed,
} from "../unexpressed.ts";

/** Plain and dotted names. */
const FLAGS = {
  colocateAll: ["--colocate_all_models", "--train.colocate_all"],
  colocateActorRef: ["--colocate_actor_ref", "--train.colocate_actor_ref"],
  colocateCriticReward: ["--colocate_critic_reward", "--train.colocate_critic_reward"],
  policyModel: ["--pretrain", "--actor.model_name_or_path"],
  criticModel: ["--critic_pretrain", "--critic.model_name_or_path"],
  rewardModel: ["--reward_pretrain", "--reward.model_name_or_path"],
  engines: ["--vllm_num_engines", "--vllm.num_engines"],
  engineTensorParallel: ["--vllm_tensor_parallel_size", "--vllm.tensor_parallel_size"],
  engineMemory: ["--vllm_gpu_memory_utilization", "--vllm.gpu_memory_utilization"],
  engineSleep: ["--vllm_enable_sleep", "--vllm.enable_sleep"],
  eager: ["--enforce_eager", "--vllm.enforce_eager"],
  zeroStage: ["--zero_stage", "--ds.zero_stage"],
  tensorParallel: ["--ds_tensor_parallel_size", "--ds.tensor_parallel_size"],
  trainerSleep: ["--deepspeed_enable_sleep", "--ds.enable_sleep"],
  precision: ["--param_dtype", "--ds.param_dtype"],
  attention: ["--attn_implementation", "--ds.attn_implementation"],
  packing: ["--packing_samples", "--ds.packing_samples"],
  gradientCheckpointing: ["--gradient_checkpointing", "--actor.gradient_checkpointing_enable"],
  loraRank: ["--lora_rank", "--ds.lora.rank"],
  trainMicroBatch: ["--micro_train_batch_size", "--train.micro_batch_size"],
  scoreMicroBatch: ["--micro_rollout_batch_size", "--rollout.micro_batch_size"],
  batch: ["--rollout_batch_size", "--rollout.batch_size"],
  trainBatch: ["--train_batch_size", "--train.batch_size"],
  sequence: ["--max_len", "--data.max_len"],
  response: ["--max_new_tokens", "--rollout.max_new_tokens"],
} as const;

/** The first release that comes with a vLLM of 0.21 or later. */
const VLLM_COUNTS_GRAPHS = "0.10.4";

const ATTENTION = { eager: "eager", sdpa: "sdpa", flash: "flash_attention_2" } as const;

export const writeOpenrlhf: Writer = (plan, figures, version) => {
  const dotted = isDotted(version);
  const flag = (name: keyof typeof FLAGS, value?: string | number) => argument(FLAGS[name][dotted ? 1 : 0], value);
  const { workload, placement, strategies } = plan;
  const { policy, reward, engine } = workload;
  const { engines } = layoutOf(placement);
  const { kvCache, weights } = releasedOf(plan);
  const colocated = placement.kind === "colocated";
  // The engines are made before the trainers, in either placement.
  const budget = vllmBudget(figures, "first", atLeast(version, VLLM_COUNTS_GRAPHS));
  return {
    commands: [
      {
        starts: "PPO",
        environment: [],
        program: "python3 -m openrlhf.cli.train_ppo_ray",
        syntax: "flags",
        arguments: present(
          flag("policyModel", loadedModel(policy.model)),
          flag("criticModel", loadedModel(workload.critic.model)),
          reward !== "rule" && flag("rewardModel", loadedModel(reward.model)),
          ...placed(plan, dotted),
          ...(colocated ? [flag("colocateAll")] : [flag("colocateActorRef"), flag("colocateCriticReward")]),
          flag("engines", engines),
          flag("engineTensorParallel", placement.engineTensorParallel),
          budget.fraction !== undefined && flag("engineMemory", budget.fraction),
          colocated && (kvCache || weights) && flag("engineSleep"),
          !engine.cudaGraphs && flag("eager"),
          flag("zeroStage", placement.zeroStage),
          placement.tensorParallel > 1 && flag("tensorParallel", placement.tensorParallel),
          colocated && trainerSleeps(plan) && flag("trainerSleep"),
          ...offloaded(plan, dotted),
          ...precisionOf(plan, version, flag("precision", policy.precision)),
          ...attentionOf(plan, version, flag("attention", ATTENTION[workload.attention])),
          workload.packing && flag("packing"),
          policy.gradientCheckpointing && flag("gradientCheckpointing"),
          policy.lora !== undefined && flag("loraRank", policy.lora.rank),
          flag("trainMicroBatch", workload.microBatch),
          flag("scoreMicroBatch", workload.microBatch),
          flag("batch", workload.batch),
          flag("trainBatch", workload.batch),
          ...lengths(plan, version, [
            flag("sequence", sequenceTokens(plan)),
            flag("response", workload.responseTokens),
          ]),
        ),
      },
    ],
    unexpressed: present<Unexpressed>(
      ...placementGaps(plan),
      ...trainingGaps(plan, version),
      ...memoryGaps(plan, version),
      ...budget.unexpressed,
    ),
    notes: present(
      budget.note,
      colocated && (kvCache || weights) && "Asleep, vLLM keeps a copy of its weights in host memory (level 1).",
      colocated && trainerSleeps(plan) && "DeepSpeed's sleep keeps the 16-bit weights on the GPU.",
      colocated &&
        trainerSleeps(plan) &&
        placement.zeroStage < 3 &&
        "Below ZeRO 3, DeepSpeed's sleep needs a DeepSpeed later than 0.17.5.",
      placement.zeroStage < 3 && "Reference and reward model are not sharded below ZeRO 3.",
      reward === "rule" &&
        `Name the file of your reward function with ${dotted ? "--reward.remote_url" : "--remote_rm_url"}.`,
      strategies.optimizerOnHost &&
        `${dotted ? "--ds.adam_offload" : "--adam_offload"} instead keeps the optimizer on the host during its update too.`,
    ),
  };
};

function isDotted(version: Version): boolean {
  return atLeast(version, "0.10.2");
}

/** GPUs of each role; apart from the engines, two roles share one half of the trainer's. */
function nodesOfRole({ placement }: Plan): ReturnType<typeof nodesOf> {
  const { trainerGpus } = layoutOf(placement);
  const all = nodesOf(trainerGpus, placement.gpusPerNode);
  if (placement.kind === "colocated") return all;
  const half = Math.max(1, Math.floor(trainerGpus / 2));
  const fillsNodes = half <= all.gpusPerNode || half % all.gpusPerNode === 0;
  return fillsNodes
    ? nodesOf(half, placement.gpusPerNode)
    : { nodes: all.nodes, gpusPerNode: Math.floor(all.gpusPerNode / 2) };
}

function gpusOfRole(plan: Plan): number {
  const { nodes, gpusPerNode } = nodesOfRole(plan);
  return nodes * gpusPerNode;
}

function placed(plan: Plan, dotted: boolean): readonly Argument[] {
  const { workload } = plan;
  const { nodes, gpusPerNode } = nodesOfRole(plan);
  const separator = dotted ? "." : "_";
  return ["actor", "ref", "critic", ...(workload.reward === "rule" ? [] : ["reward"])].flatMap((role) => [
    argument(`--${role}${separator}num_nodes`, nodes),
    argument(`--${role}${separator}num_gpus_per_node`, gpusPerNode),
  ]);
}

function trainerSleeps({ strategies }: Plan): boolean {
  return strategies.optimizerOnHost || strategies.trainingMemoryOnlyWhileTraining;
}

function offloaded({ strategies, workload }: Plan, dotted: boolean): readonly Argument[] {
  const reference = strategies.reference !== "resident";
  const reward = workload.reward !== "rule" && strategies.reward !== "resident";
  if (!dotted) return reference || reward ? [argument("--ref_reward_offload")] : [];
  return present(reference && argument("--ref.offload"), reward && argument("--reward.offload"));
}

function precisionOf({ workload }: Plan, version: Version, since: Argument): readonly Argument[] {
  if (!atLeast(version, "0.9.2")) return [argument("--bf16")];
  return workload.policy.precision === "fp32" ? [argument(since.name, "bf16")] : [since];
}

function attentionOf({ workload }: Plan, version: Version, since: Argument): readonly Argument[] {
  if (atLeast(version, "0.8.10")) return [since];
  return workload.attention === "flash" ? [argument("--flash_attn")] : [];
}

function lengths({ workload }: Plan, version: Version, since: readonly Argument[]): readonly Argument[] {
  if (atLeast(version, "0.9.8")) return since;
  return [argument("--prompt_max_len", workload.promptTokens), argument("--generate_max_len", workload.responseTokens)];
}

// ---------------------------------------------------------------------------------------------------------------------
// What it cannot say

function placementGaps(plan: Plan): readonly Unexpressed[] {
  const { placement } = plan;
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const { kvCache, weights } = releasedOf(plan);
  if (placement.kind === "colocated") return notOneOfTwo(plan, "vLLM's sleep");
  return present<Unexpressed>(
    {
      what: `all trained and frozen models on the same ${trainerGpus} GPUs, the engine on ${engineGpus} others`,
      why: "policy and critic share GPUs only where the engine does",
      nearest: "policy with reference and critic with reward, each pair on its half, as written",
    },
    gpusOfRole(plan) % placement.tensorParallel !== 0 && {
      what: `trainer with tensor parallelism ${placement.tensorParallel}`,
      why: `policy and critic have ${gpusOfRole(plan)} GPUs each, which it does not divide`,
      nearest: "more GPUs for the trainer, or a smaller one",
    },
    (kvCache || weights) && {
      what: "an engine that is released while idle",
      why: "vLLM sleeps only where it is colocated",
      nearest: "nothing is lost: its GPUs are its own",
    },
    trainerSleeps(plan) && {
      what: "optimizer and gradients off the GPU while the engine samples",
      why: "DeepSpeed's sleep goes with colocation",
      nearest: "nothing is lost: the engine has other GPUs",
    },
  );
}

function trainingGaps(plan: Plan, version: Version): readonly Unexpressed[] {
  const { policy } = plan.workload;
  const { precision, masterWeights, optimizer } = policy;
  return present<Unexpressed>(
    ...notWhole(plan, Math.max(1, Math.floor(gpusOfRole(plan) / plan.placement.tensorParallel))),
    ...notPerRole(plan, "OpenRLHF"),
    precision === "fp32" && {
      what: "fp32 weights on the device",
      why: "DeepSpeed trains in 16 bits with float32 masters",
      nearest: "bf16, as written",
    },
    precision === "fp16" &&
      !atLeast(version, "0.9.2") && {
        what: "fp16 weights",
        why: "before 0.9.2 the choice is bf16",
        nearest: "bf16, as written",
      },
    precision !== "fp32" &&
      !masterWeights &&
      policy.lora === undefined && {
        what: "16-bit training without float32 master weights",
        why: "DeepSpeed always keeps them",
        nearest: "plan with masterWeights, 4 bytes per parameter more",
      },
    optimizer !== "adamw" && {
      what: `optimizer ${optimizer}`,
      why: "the optimizer is DeepSpeed's AdamW with float32 moments",
      nearest: "adamw",
    },
    ...notChunked(plan, "a smaller micro-batch"),
  );
}

function memoryGaps(plan: Plan, version: Version): readonly Unexpressed[] {
  const { workload, strategies, placement } = plan;
  const { engine, reward } = workload;
  const reference = strategies.reference !== "resident";
  const offloads = reference || (reward !== "rule" && strategies.reward !== "resident");
  return present<Unexpressed>(
    offloads &&
      reward !== "rule" &&
      reference !== (strategies.reward !== "resident") &&
      !isDotted(version) && {
        what: reference
          ? "reward model on the GPU, reference on the host"
          : "reference on the GPU, reward model on the host",
        why: "before 0.10.2 one flag offloads both",
        nearest: "both on the host, as written",
      },
    strategies.trainingMemoryOnlyWhileTraining &&
      !strategies.optimizerOnHost && {
        what: "gradients released while the optimizer stays",
        why: "DeepSpeed's sleep offloads both",
        nearest: "both, as written",
      },
    offloads &&
      placement.zeroStage < 3 && {
        what: "frozen models on the host below ZeRO 3",
        why: "DeepSpeed offloads parameters under ZeRO 3 only",
        nearest: "ZeRO 3",
      },
    ...notOnDisk(plan, "OpenRLHF"),
    ...notQuantised(plan, "there is no switch for one role", "load_in_4bit, which takes every role"),
    ...notOneCopy(plan, "one CUDA IPC copy per parameter, on the same GPU"),
    strategies.swap.method === "bucketed" && {
      what: "weights in buckets",
      why: "they go parameter by parameter",
      nearest: "as it is: less memory than a bucket",
    },
    modelName(workload.reference.model) !== modelName(workload.policy.model) && {
      what: `reference ${modelName(workload.reference.model)}`,
      why: "the reference is the policy's first checkpoint",
      nearest: modelName(workload.policy.model),
    },
    engine.precision !== "bf16" && {
      what: `${engine.precision} engine`,
      why: "its vLLM runs in bfloat16",
      nearest: "bf16",
    },
    engine.kvCacheType !== "auto" && {
      what: `${engine.kvCacheType} KV cache`,
      why: "it is not handed on to vLLM",
      nearest: "a KV cache in the weights' precision",
    },
    engine.runningSequences !== undefined && {
      what: `${engine.runningSequences} running sequences`,
      why: "it is not handed on to vLLM",
      nearest: "vLLM's own",
    },
  );
}
