/** verl's own spellings, of _generated_ppo_trainer.yaml from v0.7.0 to v0.9.0. */
import { describe, expect, it } from "vitest";
import { commandText } from "../../../../../core/planner/export/command.ts";
import { exportPlan } from "../../../../../core/planner/export/export.ts";
import { parseTarget } from "../../../../../core/planner/export/target.ts";
import { figuresOf } from "../../../../../core/planner/predict/figures.ts";
import { predict } from "../../../../../core/planner/predict/predict.ts";
import { planWith } from "../../plans.ts";
import { apart, COLOCATED, flagsOf, gapsOf, notesOf, textOf } from "./support.ts";

describe("verl", () => {
  it("0.9 takes overrides", () => {
    expect(textOf("verl@0.9")).toBe(`python3 -m verl.trainer.main_ppo \\
  algorithm.adv_estimator=gae \\
  algorithm.use_kl_in_reward=True \\
  trainer.nnodes=1 \\
  trainer.n_gpus_per_node=4 \\
  data.train_batch_size=64 \\
  data.max_prompt_length=512 \\
  data.max_response_length=1024 \\
  actor_rollout_ref.model.path=Qwen/Qwen2.5-7B \\
  actor_rollout_ref.model.enable_gradient_checkpointing=True \\
  actor_rollout_ref.model.use_remove_padding=True \\
  actor_rollout_ref.actor.strategy=fsdp \\
  actor_rollout_ref.actor.ppo_mini_batch_size=64 \\
  actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=4 \\
  actor_rollout_ref.actor.fsdp_config.model_dtype=fp32 \\
  actor_rollout_ref.actor.fsdp_config.reshard_after_forward=True \\
  actor_rollout_ref.actor.fsdp_config.param_offload=False \\
  actor_rollout_ref.actor.fsdp_config.optimizer_offload=True \\
  actor_rollout_ref.ref.fsdp_config.model_dtype=bf16 \\
  actor_rollout_ref.ref.fsdp_config.param_offload=True \\
  actor_rollout_ref.ref.log_prob_micro_batch_size_per_gpu=4 \\
  actor_rollout_ref.rollout.name=vllm \\
  actor_rollout_ref.rollout.dtype=bfloat16 \\
  actor_rollout_ref.rollout.tensor_model_parallel_size=2 \\
  actor_rollout_ref.rollout.gpu_memory_utilization=0.5062 \\
  actor_rollout_ref.rollout.max_model_len=1536 \\
  actor_rollout_ref.rollout.free_cache_engine=True \\
  actor_rollout_ref.rollout.enforce_eager=False \\
  actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes=512 \\
  actor_rollout_ref.rollout.log_prob_micro_batch_size_per_gpu=4 \\
  critic.model.path=Qwen/Qwen2.5-7B \\
  critic.model.enable_gradient_checkpointing=True \\
  critic.model.use_remove_padding=True \\
  critic.strategy=fsdp \\
  critic.ppo_micro_batch_size_per_gpu=4 \\
  critic.fsdp.model_dtype=fp32 \\
  critic.fsdp.reshard_after_forward=True \\
  critic.fsdp.optimizer_offload=True \\
  reward.reward_model.enable=True \\
  reward.reward_model.model_path=me/reward-7B \\
  reward.reward_model.rollout.name=vllm \\
  reward.reward_model.rollout.tensor_model_parallel_size=1 \\
  reward.reward_model.rollout.gpu_memory_utilization=0.77 \\
  reward.reward_model.rollout.free_cache_engine=True`);
  });

  /** Where each version has the three groups that moved. */
  it.each([
    [
      "0.7.0",
      "rollout.update_weights_bucket_megabytes",
      "critic.model.fsdp_config.model_dtype",
      "reward_model.model.path",
    ],
    [
      "0.7.1",
      "rollout.checkpoint_engine.update_weights_bucket_megabytes",
      "critic.model.fsdp_config.model_dtype",
      "reward.reward_model.model_path",
    ],
    [
      "0.8.0.dev",
      "rollout.checkpoint_engine.update_weights_bucket_megabytes",
      "critic.model.fsdp_config.model_dtype",
      "reward_model.model.path",
    ],
    [
      "0.8",
      "rollout.checkpoint_engine.update_weights_bucket_megabytes",
      "critic.fsdp.model_dtype",
      "reward.reward_model.model_path",
    ],
  ])("%s", (version, bucket, critic, reward) => {
    const names = flagsOf(textOf(`verl@${version}`)).map((flag) => flag.split("=")[0]);
    expect(names).toContain(`actor_rollout_ref.${bucket}`);
    expect(names).toContain(critic);
    expect(names).toContain(reward);
  });

  it("gives the reward model's engine room for all of its weights, however trainers divide theirs", () => {
    const fractionWith = (zeroStage: number) => {
      const plan = planWith({
        workload: { reward: { model: "Qwen2.5-7B" } },
        placement: { gpus: 8, zeroStage },
      });
      const { commands } = exportPlan(plan, figuresOf(predict(plan)), parseTarget("verl@0.9"));
      const given = commands[0]?.arguments.find(
        ({ name }) => name === "reward.reward_model.rollout.gpu_memory_utilization",
      );
      return Number(given?.value);
    };
    expect(fractionWith(3)).toBeGreaterThanOrEqual(fractionWith(0));
    expect(fractionWith(3)).toBeLessThan(0.5);
  });

  it("says of a reward model that no GPU holds that it does not fit, and writes no fraction above 1", () => {
    const plan = planWith({ workload: { reward: { model: "Llama-3.1-70B" } }, placement: { gpus: 8, zeroStage: 3 } });
    const { commands, unexpressed } = exportPlan(plan, figuresOf(predict(plan)), parseTarget("verl@0.9"));
    expect(commands.map(commandText).join()).not.toContain("reward_model.rollout.gpu_memory_utilization");
    expect(unexpressed.map(({ what }) => what)).toContain("reward Llama-3.1-70B on each GPU");
  });

  it("stores the reference in bf16, which is not its default", () => {
    expect(textOf("verl@0.9", planWith())).toContain("ref.fsdp_config.model_dtype=bf16");
  });

  it("says the other engine's fraction, which is another number", () => {
    expect(notesOf("verl", COLOCATED)).toContain("With rollout.name=sglang write gpu_memory_utilization=0.7.");
  });

  it("apart from its engines, samples one step ahead", () => {
    const text = textOf("verl@0.9", apart({ engine: { kvCacheType: "fp8_e4m3", cudaGraphs: false } }));
    expect(text).toMatch(/^python3 -m verl\.experimental\.one_step_off_policy\.main_ppo /);
    for (const flag of [
      "actor_rollout_ref.hybrid_engine=False",
      "trainer.n_gpus_per_node=4",
      "rollout.n_gpus_per_node=4",
      "actor_rollout_ref.rollout.free_cache_engine=False",
      "actor_rollout_ref.rollout.enforce_eager=True",
      "+actor_rollout_ref.rollout.engine_kwargs.vllm.kv_cache_dtype=fp8_e4m3",
      "actor_rollout_ref.actor.fsdp_config.reshard_after_forward=False",
    ]) {
      expect(flagsOf(text)).toContain(flag);
    }
    expect(gapsOf("verl@0.9", apart())).toEqual([
      "engine and trainer on GPUs of their own, in turn",
      "float32 moments of bf16 weights (policy)",
      "float32 moments of bf16 weights (critic)",
      "reference on the GPU between its phases",
    ]);
  });

  it("names optimizers by module and class, LoRA, kernels, and one policy copy as far as it goes", () => {
    const role = { optimizer: "adamw_8bit", lora: { rank: 32 } };
    const plan = planWith({
      workload: { policy: role, critic: role, attention: "sdpa" },
      strategies: { releaseKvCache: true, singlePolicyCopy: "as_is", swap: { method: "copy" } },
    });
    const flags = flagsOf(textOf("verl@0.9", plan));
    for (const flag of [
      "actor_rollout_ref.actor.optim.optimizer_impl=bitsandbytes.optim",
      "actor_rollout_ref.actor.optim.optimizer=AdamW8bit",
      "critic.optim.optimizer=AdamW8bit",
      "actor_rollout_ref.model.lora_rank=32",
      "critic.model.lora_rank=32",
      "+actor_rollout_ref.model.override_config.attn_implementation=sdpa",
      "actor_rollout_ref.actor.fsdp_config.param_offload=True",
    ]) {
      expect(flags).toContain(flag);
    }
    expect(gapsOf("verl@0.9", plan)).toEqual([
      "one policy copy on the GPU at any time",
      "weights in one device copy",
      "reference with weights of its own",
    ]);
  });

  it("has no FSDP with tensor parallelism, no ZeRO 1, no quantised reference", () => {
    const plan = planWith({
      workload: { reference: { precision: "nf4" } },
      placement: { gpus: 4, tensorParallel: 2, zeroStage: 1 },
      strategies: { reference: "host" },
    });
    expect(gapsOf("verl@0.9", plan)).toEqual([
      "trainer with tensor parallelism 2",
      "ZeRO 1",
      "float32 moments of bf16 weights (policy)",
      "float32 moments of bf16 weights (critic)",
      "nf4 reference",
    ]);
  });
});
