/** TRL's own spellings, of grpo_config.py and vllm_serve.py of v1.9.0. */
import { describe, expect, it } from "vitest";
import { planWith } from "../../plans.ts";
import { apart, COLOCATED, flagsOf, gapsOf, textOf } from "./support.ts";

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

  /** GRPOConfig: "generation_batch_size must be divisible by num_generations", 8 unless it is set; and at least 2. */
  it.each([
    [{ batch: 64, microBatch: 1 }, undefined],
    [{ batch: 100, microBatch: 1 }, 5],
    [{ batch: 22, microBatch: 1 }, 2],
    [{ batch: 121, microBatch: 1 }, 11],
    [{ batch: 131, microBatch: 1 }, 131],
    // A round of one micro-batch, where the batch is no whole number of them.
    [{ batch: 10, microBatch: 4 }, 4],
  ])("of %o, has whole groups of responses to one prompt", (workload, generations) => {
    const flags = flagsOf(textOf("trl@1.9", planWith({ workload })));
    const written = flags.find((flag) => flag.startsWith("--num_generations "));
    expect(written).toBe(generations === undefined ? undefined : `--num_generations ${generations}`);
  });

  it("says that one response has nothing to be compared with", () => {
    const plan = planWith({ workload: { batch: 1 } });
    expect(gapsOf("trl", plan)).toContain("one rollout a step");
    expect(textOf("trl", plan)).not.toContain("--num_generations");
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
