/** The engine's part of a plan, as SGLang's and vLLM's servers spell it (server_args.py, arg_utils.py). */
import { describe, expect, it } from "vitest";
import { planWith } from "../../plans.ts";
import { apart, flagsOf, gapsOf, notesOf, textOf } from "./support.ts";

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
    [{ releaseKvCache: true }, ["kv_cache"]],
    [{ releaseEngineWeights: true }, ["weights"]],
    [{ releaseKvCache: true, singlePolicyCopy: "as_is" }, ["weights", "kv_cache"]],
  ])("says which requests carry out %j", (strategies, tags) => {
    const notes = notesOf("sglang", planWith({ strategies }));
    expect(notes).toContain(`POST /release_memory_occupation ${JSON.stringify({ tags })}`);
    // Weights for the update, the KV cache only after it: both at once with the trainer is what runs out of memory.
    for (const tag of tags) expect(notes).toContain(`POST /resume_memory_occupation {"tags":["${tag}"]}`);
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
    expect(notesOf("vllm", planWith({ strategies: { releaseKvCache: true, releaseEngineWeights: true } }))).toContain(
      "POST /sleep?level=2.",
    );
    expect(notesOf("vllm", planWith({ strategies: { releaseKvCache: true } }))).toContain("POST /sleep?level=1.");
    expect(gapsOf("vllm", planWith({ strategies: { releaseKvCache: true } }))).toContain(
      "release of the KV cache alone",
    );
  });
});
