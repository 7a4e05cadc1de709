/** slime's own spellings, of slime/utils/arguments.py of v0.3.1. */
import { describe, expect, it } from "vitest";
import { planWith } from "../../plans.ts";
import { apart, COLOCATED, flagsOf, gapsOf, textOf } from "./support.ts";

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
