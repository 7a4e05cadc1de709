/** OpenRLHF's own spellings, of openrlhf/cli/train_ppo_ray.py from v0.8.9 to v0.11.0. */
import { describe, expect, it } from "vitest";
import { planFrom } from "../../../../../core/planner/plan-file.ts";
import { merged, planWith, SMALLEST } from "../../plans.ts";
import { apart, COLOCATED, flagsOf, gapsOf, textOf, USUAL } from "./support.ts";

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

  it.each([
    [16, 1, 8],
    [24, 3, 4],
    [40, 5, 4],
    [32, 2, 8],
    [1, 1, 1],
  ])("pairs the models of %i GPUs on %i whole nodes of %i", (trainerGpus, nodes, gpusPerNode) => {
    const placement = { kind: "separate", trainerGpus, engineGpus: 8 };
    const flags = flagsOf(textOf("openrlhf@0.11", planFrom({ ...SMALLEST, placement }, "the plan")));
    expect(flags).toContain(`--actor.num_nodes ${nodes}`);
    expect(flags).toContain(`--actor.num_gpus_per_node ${gpusPerNode}`);
  });

  it("says that a half cannot be divided as the whole could", () => {
    const placement = { kind: "separate", trainerGpus: 4, engineGpus: 4, tensorParallel: 4 };
    const plan = planFrom({ ...SMALLEST, placement }, "the plan");
    expect(gapsOf("openrlhf@0.11", plan)).toContain("trainer with tensor parallelism 4");
    const halved = planFrom({ ...SMALLEST, placement: { ...placement, tensorParallel: 2 } }, "the plan");
    expect(gapsOf("openrlhf@0.11", halved)).not.toContain("trainer with tensor parallelism 2");
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
