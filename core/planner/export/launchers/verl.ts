/**
 * verl with FSDP and vLLM: Hydra overrides of `ppo_trainer` (verl/trainer/config/_generated_ppo_trainer.yaml of the
 * releases). Three groups moved between versions: the weight bucket, the critic's FSDP options, the reward model.
 */
import { formatBytes, MIB } from "../../../units.ts";
import { layoutOf, modelName, type Plan, type TrainedRole } from "../../plan.ts";
import { type Budget, sglangBudget, vllmBudget } from "../budget.ts";
import { type Argument, argument, present } from "../command.ts";
import { loadedModel, nodesOf, sequenceTokens, TORCH_DTYPES, type Writer } from "../draft.ts";
import { type PredictedFigures, phaseBytes } from "../figures.ts";
import { atLeast, type Version } from "../target.ts";
import { releasedOf, type Unexpressed } from "../unexpressed.ts";
import { verlGaps } from "./verl-gaps.ts";

/** The first release that comes with a vLLM of 0.21 or later. */
const VLLM_COUNTS_GRAPHS = "0.9";

const OPTIMIZERS = {
  adamw: ["torch.optim", "AdamW"],
  adamw_bf16: ["torch.optim", "AdamW"],
  adamw_8bit: ["bitsandbytes.optim", "AdamW8bit"],
  sgd: ["torch.optim", "SGD"],
} as const;

export const writeVerl: Writer = (plan, figures, version) => {
  const { workload, placement } = plan;
  const separate = placement.kind === "separate";
  const budget = vllmBudget(figures, separate ? "first" : "after_trainers", atLeast(version, VLLM_COUNTS_GRAPHS));
  return {
    commands: [
      {
        starts: "PPO",
        environment: [],
        program: separate
          ? `python3 -m ${atLeast(version, "0.7.1") ? "verl.experimental" : "recipe"}.one_step_off_policy.main_ppo`
          : "python3 -m verl.trainer.main_ppo",
        syntax: "overrides",
        arguments: [
          argument("algorithm.adv_estimator", "gae"),
          // Without a KL term no reference is loaded.
          argument("algorithm.use_kl_in_reward", "True"),
          ...placed(plan),
          argument("data.train_batch_size", workload.batch),
          argument("data.max_prompt_length", workload.promptTokens),
          argument("data.max_response_length", workload.responseTokens),
          ...policy(plan),
          ...reference(plan, version),
          ...rollout(plan, budget, version),
          ...critic(plan, version),
          ...reward(plan, figures, version),
        ],
      },
    ],
    unexpressed: [...verlGaps(plan, version), ...budget.unexpressed, ...rewardGaps(plan, figures, version)],
    notes: notesOf(plan, figures, budget, version),
  };
};

function placed({ placement }: Plan): readonly Argument[] {
  const { trainerGpus, engineGpus } = layoutOf(placement);
  const trainer = nodesOf(trainerGpus, placement.gpusPerNode);
  const engine = nodesOf(engineGpus, placement.gpusPerNode);
  const separate = placement.kind === "separate";
  return present(
    argument("trainer.nnodes", trainer.nodes),
    argument("trainer.n_gpus_per_node", trainer.gpusPerNode),
    separate && argument("actor_rollout_ref.hybrid_engine", "False"),
    separate && argument("rollout.nnodes", engine.nodes),
    separate && argument("rollout.n_gpus_per_node", engine.gpusPerNode),
  );
}

// ---------------------------------------------------------------------------------------------------------------------
// Roles

function policy({ workload, strategies, placement }: Plan): readonly Argument[] {
  const { policy: role } = workload;
  const actor = "actor_rollout_ref.actor";
  const model = "actor_rollout_ref.model";
  return present(
    argument(`${model}.path`, loadedModel(role.model)),
    argument(`${model}.enable_gradient_checkpointing`, pythonBoolean(role.gradientCheckpointing)),
    argument(`${model}.use_remove_padding`, pythonBoolean(workload.packing)),
    workload.attention !== "flash" && attention(model, workload.attention),
    role.lora !== undefined && argument(`${model}.lora_rank`, role.lora.rank),
    argument(`${actor}.strategy`, "fsdp"),
    argument(`${actor}.ppo_mini_batch_size`, workload.batch),
    argument(`${actor}.ppo_micro_batch_size_per_gpu`, workload.microBatch),
    ...sharded(`${actor}.fsdp_config`, role, placement.zeroStage),
    argument(`${actor}.fsdp_config.param_offload`, pythonBoolean(strategies.singlePolicyCopy !== "off")),
    argument(`${actor}.fsdp_config.optimizer_offload`, pythonBoolean(strategies.optimizerOnHost)),
    ...optimizer(`${actor}.optim`, role),
  );
}

function critic({ workload, strategies, placement }: Plan, version: Version): readonly Argument[] {
  const { critic: role } = workload;
  const fsdp = atLeast(version, "0.8.0") ? "critic.fsdp" : "critic.model.fsdp_config";
  return present(
    argument("critic.model.path", loadedModel(role.model)),
    argument("critic.model.enable_gradient_checkpointing", pythonBoolean(role.gradientCheckpointing)),
    argument("critic.model.use_remove_padding", pythonBoolean(workload.packing)),
    workload.attention !== "flash" && attention("critic.model", workload.attention),
    role.lora !== undefined && argument("critic.model.lora_rank", role.lora.rank),
    argument("critic.strategy", "fsdp"),
    argument("critic.ppo_micro_batch_size_per_gpu", workload.microBatch),
    ...sharded(fsdp, role, placement.zeroStage),
    argument(`${fsdp}.optimizer_offload`, pythonBoolean(strategies.optimizerOnHost)),
    ...optimizer("critic.optim", role),
  );
}

function attention(model: string, kernel: string): Argument {
  return argument(`+${model}.override_config.attn_implementation`, kernel);
}

function sharded(fsdp: string, role: TrainedRole, zeroStage: number): readonly Argument[] {
  return [
    argument(`${fsdp}.model_dtype`, storedDtype(role)),
    argument(`${fsdp}.reshard_after_forward`, pythonBoolean(zeroStage === 3)),
  ];
}

/** FSDP's shard is the master: 16-bit weights with float32 masters are a float32 shard, gathered in 16 bits. */
function storedDtype({ precision, masterWeights }: TrainedRole): string {
  return masterWeights ? "fp32" : precision;
}

function optimizer(group: string, { optimizer: name }: TrainedRole): readonly Argument[] {
  const [implementation, className] = OPTIMIZERS[name];
  if (className === "AdamW") return [];
  return [argument(`${group}.optimizer_impl`, implementation), argument(`${group}.optimizer`, className)];
}

function reference({ workload }: Plan, version: Version): readonly Argument[] {
  const { policy: trained, reference: frozen, microBatch } = workload;
  const ref = "actor_rollout_ref.ref";
  const micro = argument(`${ref}.log_prob_micro_batch_size_per_gpu`, microBatch);
  if (trained.lora !== undefined) return [micro];
  const ownModel = modelName(frozen.model) !== modelName(trained.model) && !atLeast(version, "0.8.0");
  return present(
    ownModel && argument(`+${ref}.model.path`, loadedModel(frozen.model)),
    argument(`${ref}.fsdp_config.model_dtype`, ["fp32", "fp16"].includes(frozen.precision) ? frozen.precision : "bf16"),
    argument(`${ref}.fsdp_config.param_offload`, "True"),
    micro,
  );
}

function rollout(plan: Plan, budget: Budget, version: Version): readonly Argument[] {
  const { workload, placement, strategies } = plan;
  const { engine } = workload;
  const { kvCache, weights } = releasedOf(plan);
  const group = "actor_rollout_ref.rollout";
  const bucket = atLeast(version, "0.7.1")
    ? `${group}.checkpoint_engine.update_weights_bucket_megabytes`
    : `${group}.update_weights_bucket_megabytes`;
  return present(
    argument(`${group}.name`, "vllm"),
    argument(`${group}.dtype`, TORCH_DTYPES[engine.precision]),
    argument(`${group}.tensor_model_parallel_size`, placement.engineTensorParallel),
    budget.fraction !== undefined && argument(`${group}.gpu_memory_utilization`, budget.fraction),
    argument(`${group}.max_model_len`, sequenceTokens(plan)),
    engine.runningSequences !== undefined && argument(`${group}.max_num_seqs`, engine.runningSequences),
    argument(`${group}.free_cache_engine`, pythonBoolean(placement.kind === "colocated" && (kvCache || weights))),
    argument(`${group}.enforce_eager`, pythonBoolean(!engine.cudaGraphs)),
    engine.kvCacheType !== "auto" && argument(`+${group}.engine_kwargs.vllm.kv_cache_dtype`, engine.kvCacheType),
    strategies.swap.method === "bucketed" && argument(bucket, Math.ceil(strategies.swap.bucketBytes / MIB)),
    argument(`${group}.log_prob_micro_batch_size_per_gpu`, workload.microBatch),
  );
}

/** Since 0.7 the reward model is served by an engine of its own. */
function reward(plan: Plan, figures: PredictedFigures, version: Version): readonly Argument[] {
  const { workload, strategies } = plan;
  if (workload.reward === "rule") return [];
  const moved = rewardMoved(version);
  const group = rewardGroup(version);
  const fraction = rewardBytes(plan, figures) / figures.gpuBytes;
  return present(
    argument(`${group}.enable`, "True"),
    argument(moved ? `${group}.model_path` : `${group}.model.path`, loadedModel(workload.reward.model)),
    argument(`${group}.rollout.name`, "vllm"),
    argument(`${group}.rollout.tensor_model_parallel_size`, 1),
    fraction < 1 && argument(`${group}.rollout.gpu_memory_utilization`, Math.ceil(fraction * 100) / 100),
    argument(`${group}.rollout.free_cache_engine`, pythonBoolean(strategies.reward !== "resident")),
  );
}

function rewardGaps(plan: Plan, figures: PredictedFigures, version: Version): readonly Unexpressed[] {
  const bytes = rewardBytes(plan, figures);
  if (plan.workload.reward === "rule" || bytes < figures.gpuBytes) return [];
  return [
    {
      what: `reward ${modelName(plan.workload.reward.model)} on each GPU`,
      why: `its engine needs ${formatBytes(bytes)}, and a GPU has ${formatBytes(figures.gpuBytes)}`,
      nearest: `${rewardGroup(version)}.rollout.tensor_model_parallel_size above 1, with its gpu_memory_utilization`,
    },
  ];
}

function rewardGroup(version: Version): string {
  return rewardMoved(version) ? "reward.reward_model" : "reward_model";
}

/** 0.8.0.dev, a snapshot of January 2026, has it where 0.7.0 has. */
function rewardMoved(version: Version): boolean {
  return atLeast(version, "0.7.1") && !(version.before && version.minor === 8);
}

/** Its weights and one scoring pass. What trainers divide among them, an engine of one GPU has whole. */
function rewardBytes({ placement }: Plan, figures: PredictedFigures): number {
  const parts = placement.tensorParallel * (placement.zeroStage === 3 ? layoutOf(placement).trainers : 1);
  const pass = phaseBytes(figures, "score_reward", ["activations", "logits"]);
  return parts * phaseBytes(figures, "score_reward", ["reward.weights"]) + pass;
}

function pythonBoolean(value: boolean): string {
  return value ? "True" : "False";
}

function notesOf(
  { workload, placement }: Plan,
  figures: PredictedFigures,
  budget: Budget,
  version: Version,
): readonly string[] {
  const sglang = sglangBudget(figures, placement.kind === "separate" ? "first" : "after_trainers");
  return present(
    budget.note,
    sglang.fraction !== undefined &&
      `With rollout.name=sglang write gpu_memory_utilization=${sglang.fraction}. ${sglang.note}`,
    "model_dtype is fp32 unless it is set, for the reference too.",
    workload.reward === "rule" &&
      `Name your reward function's file with ${rewardMoved(version) ? "reward." : ""}custom_reward_function.path.`,
    workload.reward !== "rule" &&
      "The reward model's fraction holds its weights and one scoring pass; its engine may want more.",
  );
}
