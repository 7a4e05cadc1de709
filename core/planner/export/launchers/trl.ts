/**
 * TRL: `trl grpo`, the trainer of TRL that has an engine (trl/trainer/grpo_config.py). Its PPO trainer, which has the
 * critic, generates with the policy itself.
 */
import { divisorsOf, layoutOf, modelName, type Plan } from "../../plan.ts";
import { type Budget, vllmBudget } from "../budget.ts";
import { type Argument, argument, type Command, present } from "../command.ts";
import { loadedModel, nodesOf, sequenceTokens, TORCH_DTYPES, type Writer } from "../draft.ts";
import { atLeast } from "../target.ts";
import {
  notChunked,
  notOnDisk,
  notOneCopy,
  notOneOfTwo,
  notQuantised,
  releasedOf,
  type Unexpressed,
} from "../unexpressed.ts";

/** The first release that takes only a vLLM that can be 0.21 or later. */
const VLLM_COUNTS_GRAPHS = "1.7";

const OPTIMIZERS = {
  adamw: "adamw_torch_fused",
  adamw_bf16: "adamw_torch_fused",
  adamw_8bit: "adamw_bnb_8bit",
  sgd: "sgd",
} as const;

const ATTENTION = { eager: "eager", sdpa: "sdpa", flash: "flash_attention_2" } as const;

export const writeTrl: Writer = (plan, figures, version) => {
  const { placement, workload } = plan;
  const separate = placement.kind === "separate";
  const start = separate ? "first" : "after_trainers";
  const budget = vllmBudget(figures, start, atLeast(version, VLLM_COUNTS_GRAPHS));
  return {
    commands: separate ? [server(plan, budget), trainer(plan, budget)] : [trainer(plan, budget)],
    unexpressed: present<Unexpressed>(
      ...placementGaps(plan),
      ...trainingGaps(plan),
      ...memoryGaps(plan),
      ...budget.unexpressed,
    ),
    notes: present(
      budget.note,
      "beta is 0 unless it is set, and then no reference is loaded: choose your own.",
      workload.reward === "rule" && "Name your reward function with --reward_funcs.",
      separate && "The two commands run on different GPUs; start the server first.",
    ),
  };
};

function trainer(plan: Plan, budget: Budget): Command {
  const { workload, placement } = plan;
  const { policy, reward } = workload;
  const { kvCache, weights } = releasedOf(plan);
  const { trainerGpus } = layoutOf(placement);
  const { nodes } = nodesOf(trainerGpus, placement.gpusPerNode);
  const separate = placement.kind === "separate";
  const generations = generationsOf(plan);
  return {
    starts: "GRPO",
    environment: visible(plan, "trainer"),
    program: "trl grpo",
    syntax: "flags",
    arguments: present(
      argument("--accelerate_config", accelerateConfig(plan)),
      argument("--num_processes", trainerGpus),
      nodes > 1 && argument("--num_machines", nodes),
      argument("--model_name_or_path", loadedModel(policy.model)),
      reward !== "rule" && argument("--reward_model_name_or_path", loadedModel(reward.model)),
      argument("--dtype", TORCH_DTYPES[policy.precision]),
      argument("--bf16", String(policy.precision === "bf16" || policy.autocast)),
      policy.precision === "fp16" && argument("--fp16", "true"),
      argument("--attn_implementation", ATTENTION[workload.attention]),
      argument("--optim", OPTIMIZERS[policy.optimizer]),
      argument("--gradient_checkpointing", String(policy.gradientCheckpointing)),
      policy.lora !== undefined && argument("--use_peft", "true"),
      policy.lora !== undefined && argument("--lora_r", policy.lora.rank),
      argument("--per_device_train_batch_size", workload.microBatch),
      fillsBatch(plan) && argument("--generation_batch_size", workload.batch),
      generations > 1 && generations !== DEFAULT_GENERATIONS && argument("--num_generations", generations),
      argument("--max_completion_length", workload.responseTokens),
      argument("--beta", "0.001"),
      argument("--use_vllm", "true"),
      argument("--vllm_mode", separate ? "server" : "colocate"),
      ...(separate ? [] : colocatedEngine(plan, budget)),
      !separate && (kvCache || weights) && argument("--vllm_enable_sleep_mode", "true"),
    ),
  };
}

function colocatedEngine(plan: Plan, budget: Budget): readonly Argument[] {
  return present(
    budget.fraction !== undefined && argument("--vllm_gpu_memory_utilization", budget.fraction),
    argument("--vllm_tensor_parallel_size", plan.placement.engineTensorParallel),
    argument("--vllm_max_model_length", sequenceTokens(plan)),
  );
}

function server(plan: Plan, budget: Budget): Command {
  const { workload, placement } = plan;
  const { engine } = workload;
  return {
    starts: "engine",
    environment: visible(plan, "engine"),
    program: "trl vllm-serve",
    syntax: "flags",
    arguments: present(
      argument("--model", loadedModel(workload.policy.model)),
      argument("--dtype", TORCH_DTYPES[engine.precision]),
      argument("--tensor_parallel_size", placement.engineTensorParallel),
      argument("--data_parallel_size", layoutOf(placement).engines),
      budget.fraction !== undefined && argument("--gpu_memory_utilization", budget.fraction),
      argument("--max_model_len", sequenceTokens(plan)),
      engine.kvCacheType !== "auto" && argument("--kv_cache_dtype", engine.kvCacheType),
      !engine.cudaGraphs && argument("--enforce_eager", "true"),
    ),
  };
}

/** On one machine, which GPUs each of the two commands sees. */
function visible({ placement }: Plan, side: "trainer" | "engine"): readonly Argument[] {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  if (placement.kind === "colocated" || trainerGpus + engineGpus > placement.gpusPerNode) return [];
  const [first, count] = side === "trainer" ? [0, trainerGpus] : [trainerGpus, engineGpus];
  return [argument("CUDA_VISIBLE_DEVICES", Array.from({ length: count }, (_, gpu) => first + gpu).join(","))];
}

function accelerateConfig({ placement }: Plan): string {
  if (placement.zeroStage > 0) return `zero${placement.zeroStage}`;
  return layoutOf(placement).trainerGpus > 1 ? "multi_gpu" : "single_gpu";
}

/** TRL generates whole rounds of all GPUs. */
function fillsBatch(plan: Plan): boolean {
  return plan.workload.batch % roundOf(plan) === 0;
}

function roundOf({ workload, placement }: Plan): number {
  return workload.microBatch * layoutOf(placement).trainerGpus;
}

/** Responses to one prompt, which GRPO compares: a generation batch has whole groups of them. */
const DEFAULT_GENERATIONS = 8;

/** As many as TRL would take, or the nearest number that divides the batch; 1 where nothing does. */
function generationsOf(plan: Plan): number {
  const generated = fillsBatch(plan) ? plan.workload.batch : roundOf(plan);
  const groups = divisorsOf(generated).filter((size) => size > 1);
  return groups.findLast((size) => size <= DEFAULT_GENERATIONS) ?? groups[0] ?? generated;
}

// ---------------------------------------------------------------------------------------------------------------------
// What it cannot say

function placementGaps(plan: Plan): readonly Unexpressed[] {
  const { placement, workload } = plan;
  const { engine } = workload;
  const colocated = placement.kind === "colocated";
  const unsaid = (what: string, nearest: string): Unexpressed => ({
    what,
    why: "TRL does not hand it on to vLLM",
    nearest,
  });
  return present<Unexpressed>(
    placement.tensorParallel > 1 && {
      what: `trainer with tensor parallelism ${placement.tensorParallel}`,
      why: "GRPO shards by ZeRO or FSDP only",
      nearest: "ZeRO 3",
    },
    ...(colocated ? notOneOfTwo(plan, "vLLM's sleep") : []),
    colocated &&
      engine.kvCacheType !== "auto" &&
      unsaid(`${engine.kvCacheType} KV cache`, "one in the weights' precision"),
    colocated && !engine.cudaGraphs && unsaid("engine without CUDA graphs", "with them: some GiB more"),
    colocated &&
      engine.precision !== workload.policy.precision &&
      unsaid(`${engine.precision} engine`, "the checkpoint's precision"),
    engine.runningSequences !== undefined &&
      unsaid(`${engine.runningSequences} running sequences`, "as many as a generation batch"),
  );
}

function trainingGaps(plan: Plan): readonly Unexpressed[] {
  const { workload, placement } = plan;
  const { precision, masterWeights, autocast, optimizer } = workload.policy;
  const deepspeed = placement.zeroStage > 0;
  return present<Unexpressed>(
    {
      what: "critic",
      why: "GRPO has none, and TRL's PPO trainer has no vLLM",
      nearest: "GRPO, as written; or trl.experimental.ppo, which generates with the policy",
    },
    deepspeed &&
      precision !== "fp32" &&
      !masterWeights && {
        what: "16-bit training without float32 master weights",
        why: "DeepSpeed always keeps them",
        nearest: "plan with masterWeights, 4 bytes per parameter more",
      },
    !deepspeed &&
      masterWeights && {
        what: `${precision} weights beside float32 masters`,
        why: "without DeepSpeed there is one copy",
        nearest: "fp32 weights with autocast, or ZeRO 1",
      },
    deepspeed &&
      autocast && {
        what: "fp32 weights computed with in bfloat16",
        why: "DeepSpeed keeps bfloat16 weights beside float32 masters",
        nearest: "those, 2 bytes per parameter more",
      },
    !deepspeed &&
      precision !== "fp32" &&
      optimizer === "adamw" && {
        what: `float32 moments of ${precision} weights`,
        why: "PyTorch's AdamW keeps moments in the weights' precision",
        nearest: `moments in ${precision}, as written`,
      },
    generationsOf(plan) === 1 && {
      what: "one rollout a step",
      why: "GRPO compares two responses to a prompt at least",
      nearest: "a batch of 2",
    },
    !fillsBatch(plan) && {
      what: `${workload.batch} rollouts a step`,
      why: `a generation batch is a multiple of ${workload.microBatch} on each of ${layoutOf(placement).trainerGpus} GPUs`,
      nearest: "another batch or micro-batch",
    },
    workload.packing && {
      what: "sequence packing",
      why: "GRPO pads",
      nearest: "padding, with use_liger_kernel",
    },
    ...notChunked(plan, "use_liger_kernel, whose loss never holds the logits"),
  );
}

function memoryGaps(plan: Plan): readonly Unexpressed[] {
  const { strategies, workload } = plan;
  const { policy, reference } = workload;
  const lora = policy.lora !== undefined;
  return present<Unexpressed>(
    strategies.trainingMemoryOnlyWhileTraining && {
      what: "gradients released while the engine samples",
      why: "TRL has no such phase",
      nearest: "ZeRO 2, which shares them out",
    },
    strategies.optimizerOnHost && {
      what: "optimizer on the host between its updates",
      why: "TRL has no switch for it",
      nearest: "offload_optimizer_device: cpu in an accelerate config: on the host during updates too",
    },
    ...(["reference", "reward"] as const)
      .filter((role) => strategies[role] === "host")
      .map((role) => ({
        what: `${role} on the host`,
        why: "TRL keeps it on the GPU",
        nearest: role === "reference" ? "LoRA, which needs no reference model" : "a reward function that asks a server",
      })),
    ...notOnDisk(plan, "TRL"),
    ...notQuantised(plan, "load_in_4bit is for the policy only", "the policy's precision"),
    ...notOneCopy(plan, "a copy per tensor, with the engine asleep while training"),
    strategies.swap.method === "bucketed" && {
      what: "weights in buckets",
      why: "they go tensor by tensor",
      nearest: "as it is: less memory than a bucket",
    },
    lora && {
      what: "reference with weights of its own",
      why: "with LoRA, TRL takes the policy without its adapter",
      nearest: "as it is: less memory",
    },
    !lora &&
      modelName(reference.model) !== modelName(policy.model) && {
        what: `reference ${modelName(reference.model)}`,
        why: "the reference is the policy's first checkpoint",
        nearest: modelName(policy.model),
      },
  );
}
