/**
 * Exports against the launchers' own spellings, as their sources have them: sglang server_args, vllm arg_utils, OpenRLHF
 * openrlhf/cli/train_ppo_ray.py of v0.8.11 to v0.11.0, verl _generated_ppo_trainer.yaml of v0.7.0 to v0.9.0, TRL
 * grpo_config.py of v1.9.0, slime slime/utils/arguments.py of v0.3.1. What a plan asks for and they lack is listed.
 */
import { describe, expect, it } from "vitest";
import { commandText } from "../../../../core/planner/export/command.ts";
import { exportPlan } from "../../../../core/planner/export/export.ts";
import { parseTarget } from "../../../../core/planner/export/target.ts";
import type { Plan } from "../../../../core/planner/plan.ts";
import { planFrom } from "../../../../core/planner/plan-file.ts";
import { merged, planWith, SMALLEST } from "../plans.ts";
import { FIGURES } from "./figures.ts";

/** What most launchers do by themselves: mixed precision, and whatever can sleep or be offloaded asleep or offloaded. */
const USUAL = {
  workload: {
    policy: { masterWeights: true, gradientCheckpointing: true },
    critic: { masterWeights: true, gradientCheckpointing: true },
    reward: { model: "me/reward-7B" },
    microBatch: 4,
    packing: true,
  },
  placement: { gpus: 4, zeroStage: 3, engineTensorParallel: 2 },
  strategies: {
    releaseKvCache: true,
    releaseEngineWeights: true,
    reference: "host",
    reward: "host",
    trainingMemoryOnlyWhileTraining: true,
    optimizerOnHost: true,
  },
};

const COLOCATED = planWith(USUAL);

function apart(workload: Record<string, unknown> = {}): Plan {
  const placement = { kind: "separate", trainerGpus: 4, engineGpus: 4, zeroStage: 2, engineTensorParallel: 2 };
  return planFrom({ ...merged(SMALLEST, { workload: { microBatch: 4, ...workload } }), placement }, "the plan");
}

function textOf(target: string, plan: Plan = COLOCATED): string {
  return exportPlan(plan, FIGURES, parseTarget(target)).commands.map(commandText).join("\n\n");
}

function gapsOf(target: string, plan: Plan): string[] {
  return exportPlan(plan, FIGURES, parseTarget(target)).unexpressed.map(({ what }) => what);
}

/** The flags of a text, each with its value. */
function flagsOf(text: string): string[] {
  return text.split(" \\\n  ").slice(1);
}

describe("SGLang", () => {
  it("is told the engine's part", () => {
    expect(textOf("sglang@0.5")).toBe(`python -m sglang.launch_server \\
  --model-path Qwen/Qwen2.5-7B \\
  --dtype bfloat16 \\
  --tp-size 2 \\
  --dp-size 2 \\
  --context-length 1536 \\
  --mem-fraction-static 0.7 \\
  --enable-memory-saver`);
  });

  it("with GPUs of its own, measures an empty card and stays awake", () => {
    const engine = { kvCacheType: "fp8_e5m2", cudaGraphs: false, runningSequences: 32, precision: "fp16" };
    expect(flagsOf(textOf("sglang@0.5", apart({ engine })))).toEqual([
      "--model-path Qwen/Qwen2.5-7B",
      "--dtype float16",
      "--tp-size 2",
      "--dp-size 2",
      "--context-length 1536",
      "--mem-fraction-static 0.4402",
      "--max-running-requests 32",
      "--kv-cache-dtype fp8_e5m2",
      "--disable-cuda-graph",
    ]);
  });

  it.each([
    [{ releaseKvCache: true }, '{"tags":["kv_cache"]}'],
    [{ releaseEngineWeights: true }, '{"tags":["weights"]}'],
    [{ releaseKvCache: true, singlePolicyCopy: "as_is" }, '{"tags":["weights","kv_cache"]}'],
  ])("says which request carries out %j", (strategies, body) => {
    const { notes } = exportPlan(planWith({ strategies }), FIGURES, parseTarget("sglang"));
    expect(notes.join("\n")).toContain(`POST /release_memory_occupation ${body}`);
    expect(notes.join("\n")).toContain(`POST /resume_memory_occupation ${body}`);
  });

  it("cannot share memory with the policy", () => {
    expect(gapsOf("sglang", planWith({ strategies: { swap: { method: "share" } } }))).toEqual([
      "trainer, reference, reward and critic",
      "engine reads the policy's weights",
    ]);
  });
});

describe("vLLM", () => {
  it("is told the engine's part, and serves its sleep routes", () => {
    expect(textOf("vllm@0.20")).toBe(`VLLM_SERVER_DEV_MODE=1 vllm serve \\
  Qwen/Qwen2.5-7B \\
  --dtype bfloat16 \\
  --tensor-parallel-size 2 \\
  --data-parallel-size 2 \\
  --max-model-len 1536 \\
  --gpu-memory-utilization 0.4937 \\
  --enable-sleep-mode`);
  });

  it("counts CUDA graphs since 0.21", () => {
    expect(textOf("vllm@0.21")).toContain("--gpu-memory-utilization 0.5062");
  });

  it("with GPUs of its own needs no sleep", () => {
    const engine = { kvCacheType: "fp8_e4m3", cudaGraphs: false, runningSequences: 32 };
    expect(flagsOf(textOf("vllm@0.20", apart({ engine }))).slice(-3)).toEqual([
      "--max-num-seqs 32",
      "--kv-cache-dtype fp8_e4m3",
      "--enforce-eager",
    ]);
    expect(textOf("vllm@0.20", apart())).not.toContain("VLLM_SERVER_DEV_MODE");
  });

  it("drops weights that an update overwrites, and keeps those that stay", () => {
    const notesOf = (strategies: object) =>
      exportPlan(planWith({ strategies }), FIGURES, parseTarget("vllm")).notes.join("\n");
    expect(notesOf({ releaseKvCache: true, releaseEngineWeights: true })).toContain("POST /sleep?level=2.");
    expect(notesOf({ releaseKvCache: true })).toContain("POST /sleep?level=1.");
    expect(gapsOf("vllm", planWith({ strategies: { releaseKvCache: true } }))).toContain(
      "release of the KV cache alone",
    );
  });
});

describe("OpenRLHF", () => {
  const PLAIN = [
    "--pretrain Qwen/Qwen2.5-7B",
    "--critic_pretrain Qwen/Qwen2.5-7B",
    "--reward_pretrain me/reward-7B",
    "--actor_num_nodes 1",
    "--actor_num_gpus_per_node 4",
    "--ref_num_nodes 1",
    "--ref_num_gpus_per_node 4",
    "--critic_num_nodes 1",
    "--critic_num_gpus_per_node 4",
    "--reward_num_nodes 1",
    "--reward_num_gpus_per_node 4",
    "--colocate_all_models",
    "--vllm_num_engines 2",
    "--vllm_tensor_parallel_size 2",
    "--vllm_gpu_memory_utilization 0.4937",
    "--vllm_enable_sleep",
    "--zero_stage 3",
    "--deepspeed_enable_sleep",
    "--ref_reward_offload",
    "--bf16",
    "--attn_implementation flash_attention_2",
    "--packing_samples",
    "--gradient_checkpointing",
    "--micro_train_batch_size 4",
    "--micro_rollout_batch_size 4",
    "--rollout_batch_size 64",
    "--train_batch_size 64",
    "--prompt_max_len 512",
    "--generate_max_len 1024",
  ];

  it("0.8 is spelled plainly", () => {
    expect(textOf("openrlhf@0.8")).toBe(["python3 -m openrlhf.cli.train_ppo_ray", ...PLAIN].join(" \\\n  "));
  });

  it("0.11 is spelled in dotted groups", () => {
    expect(textOf("openrlhf@0.11")).toBe(`python3 -m openrlhf.cli.train_ppo_ray \\
  --actor.model_name_or_path Qwen/Qwen2.5-7B \\
  --critic.model_name_or_path Qwen/Qwen2.5-7B \\
  --reward.model_name_or_path me/reward-7B \\
  --actor.num_nodes 1 \\
  --actor.num_gpus_per_node 4 \\
  --ref.num_nodes 1 \\
  --ref.num_gpus_per_node 4 \\
  --critic.num_nodes 1 \\
  --critic.num_gpus_per_node 4 \\
  --reward.num_nodes 1 \\
  --reward.num_gpus_per_node 4 \\
  --train.colocate_all \\
  --vllm.num_engines 2 \\
  --vllm.tensor_parallel_size 2 \\
  --vllm.gpu_memory_utilization 0.5062 \\
  --vllm.enable_sleep \\
  --ds.zero_stage 3 \\
  --ds.enable_sleep \\
  --ref.offload \\
  --reward.offload \\
  --ds.param_dtype bf16 \\
  --ds.attn_implementation flash_attention_2 \\
  --ds.packing_samples \\
  --actor.gradient_checkpointing_enable \\
  --train.micro_batch_size 4 \\
  --rollout.micro_batch_size 4 \\
  --rollout.batch_size 64 \\
  --train.batch_size 64 \\
  --data.max_len 1536 \\
  --rollout.max_new_tokens 1024`);
  });

  /** Of v0.8.9 and v0.8.10, v0.9.1 and v0.9.2, v0.9.7 and v0.9.8, v0.10.1 and v0.10.2. */
  it.each([
    ["0.8.9", "--flash_attn", "--attn_implementation"],
    ["0.8.10", "--attn_implementation flash_attention_2", "--flash_attn"],
    ["0.9.1", "--bf16", "--param_dtype"],
    ["0.9.2", "--param_dtype bf16", "--bf16"],
    ["0.9.7", "--generate_max_len 1024", "--max_new_tokens"],
    ["0.9.8", "--max_new_tokens 1024", "--generate_max_len"],
    ["0.10.1", "--vllm_enable_sleep", "--vllm.enable_sleep"],
    ["0.10.2", "--vllm.enable_sleep", "--vllm_enable_sleep"],
  ])("%s says %s, and not %s", (version, said, unsaid) => {
    const text = textOf(`openrlhf@${version}`);
    expect(flagsOf(text)).toContain(said);
    expect(text).not.toContain(unsaid);
  });

  it("that can say everything asked for lacks nothing but buckets", () => {
    expect(gapsOf("openrlhf@0.11", COLOCATED)).toEqual(["weights in buckets"]);
    expect(gapsOf("openrlhf@0.11", planWith(merged(USUAL, { strategies: { swap: { method: "copy" } } })))).toEqual([]);
  });

  it("before 0.10.2 cannot offload one of the two frozen models", () => {
    const plan = planWith(merged(USUAL, { strategies: { reward: "resident" } }));
    expect(gapsOf("openrlhf@0.8", plan)).toContain("reward model on the GPU, reference on the host");
    expect(flagsOf(textOf("openrlhf@0.8", plan))).toContain("--ref_reward_offload");
    expect(gapsOf("openrlhf@0.11", plan)).not.toContain("reward model on the GPU, reference on the host");
    expect(textOf("openrlhf@0.11", plan)).not.toContain("--reward.offload");
  });

  it("apart from its engines, pairs the models on halves", () => {
    const text = textOf("openrlhf@0.11", apart());
    for (const flag of [
      "--train.colocate_actor_ref",
      "--train.colocate_critic_reward",
      "--actor.num_gpus_per_node 2",
    ]) {
      expect(flagsOf(text)).toContain(flag);
    }
    expect(text).not.toMatch(/colocate_all|enable_sleep|reward\.num/);
    expect(gapsOf("openrlhf@0.11", apart())).toContain(
      "all trained and frozen models on the same 4 GPUs, the engine on 4 others",
    );
  });

  it("has no 8-bit switch for a role, no disk, no 8-bit optimizer, no other KV cache", () => {
    const plan = planWith({
      workload: { policy: { optimizer: "adamw_8bit" }, engine: { kvCacheType: "fp8_e4m3" } },
      strategies: { int8: { reference: true }, reference: "disk", singlePolicyCopy: "as_is" },
    });
    expect(gapsOf("openrlhf@0.11", plan)).toEqual([
      "release of the engine's weights alone",
      "optimizer of the critic other than the policy's",
      "16-bit training without float32 master weights",
      "optimizer adamw_8bit",
      "frozen models on the host below ZeRO 3",
      "reference on disk",
      "int8 reference",
      "one policy copy on the GPU at any time",
      "weights in buckets",
      "fp8_e4m3 KV cache",
    ]);
  });

  it("trains LoRA of one rank", () => {
    const plan = planWith({ workload: { policy: { lora: { rank: 16 } } } });
    expect(flagsOf(textOf("openrlhf@0.8", plan))).toContain("--lora_rank 16");
    expect(flagsOf(textOf("openrlhf@0.11", plan))).toContain("--ds.lora.rank 16");
    expect(gapsOf("openrlhf@0.11", plan)).toContain("LoRA of the critic other than the policy's");
  });
});

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
  reward.reward_model.rollout.gpu_memory_utilization=0.2 \\
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

  it("stores the reference in bf16, which is not its default", () => {
    expect(textOf("verl@0.9", planWith())).toContain("ref.fsdp_config.model_dtype=bf16");
  });

  it("says the other engine's fraction, which is another number", () => {
    const { notes } = exportPlan(COLOCATED, FIGURES, parseTarget("verl"));
    expect(notes.join("\n")).toContain("With rollout.name=sglang write gpu_memory_utilization=0.7.");
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

describe("TRL", () => {
  it("is GRPO with a colocated vLLM", () => {
    expect(textOf("trl@1.9")).toBe(`trl grpo \\
  --accelerate_config zero3 \\
  --num_processes 4 \\
  --model_name_or_path Qwen/Qwen2.5-7B \\
  --reward_model_name_or_path me/reward-7B \\
  --dtype bfloat16 \\
  --bf16 true \\
  --attn_implementation flash_attention_2 \\
  --optim adamw_torch_fused \\
  --gradient_checkpointing true \\
  --per_device_train_batch_size 4 \\
  --generation_batch_size 64 \\
  --max_completion_length 1024 \\
  --beta 0.001 \\
  --use_vllm true \\
  --vllm_mode colocate \\
  --vllm_gpu_memory_utilization 0.5062 \\
  --vllm_tensor_parallel_size 2 \\
  --vllm_max_model_length 1536 \\
  --vllm_enable_sleep_mode true`);
  });

  it("has no critic, offloads nothing, and pads", () => {
    expect(gapsOf("trl@1.9", COLOCATED)).toEqual([
      "critic",
      "sequence packing",
      "gradients released while the engine samples",
      "optimizer on the host between its updates",
      "reference on the host",
      "reward on the host",
      "weights in buckets",
    ]);
  });

  it("apart, is two commands on different GPUs", () => {
    const plan = apart({ engine: { kvCacheType: "fp8_e4m3", cudaGraphs: false } });
    const [server = "", trainer = ""] = textOf("trl@1.9", plan).split("\n\n");
    expect(server).toBe(`CUDA_VISIBLE_DEVICES=4,5,6,7 trl vllm-serve \\
  --model Qwen/Qwen2.5-7B \\
  --dtype bfloat16 \\
  --tensor_parallel_size 2 \\
  --data_parallel_size 2 \\
  --gpu_memory_utilization 0.5062 \\
  --max_model_len 1536 \\
  --kv_cache_dtype fp8_e4m3 \\
  --enforce_eager true`);
    expect(trainer).toMatch(/^CUDA_VISIBLE_DEVICES=0,1,2,3 trl grpo /);
    expect(flagsOf(trainer).slice(-2)).toEqual(["--use_vllm true", "--vllm_mode server"]);
  });

  it("generates whole rounds only", () => {
    const plan = planWith({ workload: { batch: 10, microBatch: 4 } });
    expect(textOf("trl", plan)).not.toContain("--generation_batch_size");
    expect(gapsOf("trl", plan)).toContain("10 rollouts a step");
  });

  it("trains fp32 weights with autocast, LoRA and 8-bit AdamW", () => {
    const policy = { precision: "fp32", autocast: true, lora: { rank: 8 }, optimizer: "adamw_8bit" };
    const flags = flagsOf(textOf("trl@1.9", planWith({ workload: { policy, attention: "eager" } })));
    for (const flag of [
      "--accelerate_config single_gpu",
      "--dtype float32",
      "--bf16 true",
      "--optim adamw_bnb_8bit",
      "--use_peft true",
      "--lora_r 8",
      "--attn_implementation eager",
    ]) {
      expect(flags).toContain(flag);
    }
  });
});

describe("slime", () => {
  it("is Megatron and SGLang on the same GPUs", () => {
    expect(textOf("slime@0.3")).toBe(`python3 train.py \\
  --hf-checkpoint Qwen/Qwen2.5-7B \\
  --ref-load Qwen/Qwen2.5-7B \\
  --advantage-estimator ppo \\
  --use-kl-loss \\
  --actor-num-nodes 1 \\
  --actor-num-gpus-per-node 4 \\
  --num-gpus-per-node 4 \\
  --colocate \\
  --rollout-num-gpus-per-engine 2 \\
  --tensor-model-parallel-size 1 \\
  --micro-batch-size 4 \\
  --rollout-batch-size 64 \\
  --global-batch-size 64 \\
  --rollout-max-prompt-len 512 \\
  --rollout-max-response-len 1024 \\
  --attention-backend flash \\
  --optimizer adam \\
  --recompute-granularity full \\
  --recompute-method uniform \\
  --recompute-num-layers 1 \\
  --update-weight-buffer-size 536870912 \\
  --sglang-dtype bfloat16 \\
  --sglang-context-length 1536 \\
  --sglang-mem-fraction-static 0.4402`);
  });

  it("has no reward model and shards the optimizer only", () => {
    expect(gapsOf("slime@0.3", COLOCATED)).toEqual(["ZeRO 3", "reward model on these GPUs"]);
  });

  it("offloads trainers and the reference whether it is asked to or not, and can keep the engine", () => {
    const plan = planWith({ workload: { packing: true } });
    expect(flagsOf(textOf("slime", plan))).toContain("--no-offload-rollout");
    expect(gapsOf("slime", plan)).toEqual([
      "16-bit training without float32 master weights",
      "optimizer on the GPU while the engine samples",
      "reference on the GPU between its phases",
    ]);
  });

  it("apart, counts the engines' GPUs", () => {
    const flags = flagsOf(textOf("slime@0.3", apart({ lossChunkTokens: 1024, engine: { cudaGraphs: false } })));
    for (const flag of ["--rollout-num-gpus 4", "--log-probs-chunk-size 1024", "--sglang-disable-cuda-graph"]) {
      expect(flags).toContain(flag);
    }
    expect(flags.join()).not.toMatch(/colocate|offload/);
  });
});

it("every export says how its memory fraction was computed, and every gap why and what is nearest", () => {
  for (const launcher of ["sglang", "vllm", "openrlhf", "verl", "trl", "slime"]) {
    for (const plan of [
      COLOCATED,
      apart(),
      planWith({ strategies: { swap: { method: "share" }, reference: "disk" } }),
    ]) {
      const { notes, unexpressed } = exportPlan(plan, FIGURES, parseTarget(launcher));
      expect(notes[0]).toMatch(/fraction is of/);
      for (const gap of unexpressed) expect(Object.values(gap).every((words) => words.length > 0)).toBe(true);
      expect(new Set(unexpressed.map(({ what }) => what)).size).toBe(unexpressed.length);
    }
  }
});
