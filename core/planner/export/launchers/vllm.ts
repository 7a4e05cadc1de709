/** vLLM's server: the engine's part of a plan. */
import { layoutOf } from "../../plan.ts";
import { vllmBudget } from "../budget.ts";
import { argument, present } from "../command.ts";
import { loadedModel, sequenceTokens, TORCH_DTYPES, type Writer } from "../draft.ts";
import { atLeast, type Version } from "../target.ts";
import { notOneCopy, notOneOfTwo, releasedOf, type Unexpressed } from "../unexpressed.ts";

/** Since this version the profiled CUDA graphs are taken off the KV cache. */
export function countsCudaGraphs(version: Version): boolean {
  return atLeast(version, "0.21");
}

export const writeVllm: Writer = (plan, figures, version) => {
  const { workload, placement, strategies } = plan;
  const { engine } = workload;
  const { engines } = layoutOf(placement);
  const start = placement.kind === "colocated" ? "after_trainers" : "first";
  const budget = vllmBudget(figures, start, countsCudaGraphs(version));
  const { kvCache, weights } = releasedOf(plan);
  const sleeps = kvCache || weights;
  // Weights that an update overwrites anyway need no copy on the host.
  const level = weights ? 2 : 1;
  return {
    commands: [
      {
        starts: "engine",
        environment: sleeps ? [argument("VLLM_SERVER_DEV_MODE", "1")] : [],
        program: "vllm serve",
        syntax: "flags",
        arguments: present(
          argument(loadedModel(workload.policy.model)),
          argument("--dtype", TORCH_DTYPES[engine.precision]),
          argument("--tensor-parallel-size", placement.engineTensorParallel),
          engines > 1 && argument("--data-parallel-size", engines),
          argument("--max-model-len", sequenceTokens(plan)),
          budget.fraction !== undefined && argument("--gpu-memory-utilization", budget.fraction),
          engine.runningSequences !== undefined && argument("--max-num-seqs", engine.runningSequences),
          engine.kvCacheType !== "auto" && argument("--kv-cache-dtype", engine.kvCacheType),
          !engine.cudaGraphs && argument("--enforce-eager"),
          sleeps && argument("--enable-sleep-mode"),
        ),
      },
    ],
    unexpressed: present<Unexpressed>(
      {
        what: "trainer, reference, reward and critic",
        why: "a server is the engine only",
        nearest: "export to openrlhf, verl, trl or slime",
      },
      ...notOneOfTwo(plan, "sleep"),
      ...notOneCopy(plan, "an update from a trainer on the same GPU"),
      strategies.swap.method === "copy" && {
        what: "weights in one device copy",
        why: "updates arrive tensor by tensor, or in buckets",
        nearest: "an update over CUDA IPC, which crosses no link",
      },
      ...budget.unexpressed,
    ),
    notes: present(
      budget.note,
      sleeps && `After the rollout: POST /sleep?level=${level}.`,
      level === 1 && sleeps && "Level 1 copies the weights to host memory, on every rank.",
      sleeps && "Before the next: POST /wake_up?tags=weights, update the weights, POST /wake_up?tags=kv_cache.",
      sleeps && "PYTORCH_CUDA_ALLOC_CONF must not hold expandable_segments:True.",
      `--kv-cache-memory-bytes ${figures.engine.kvCacheBytes} fixes the pool instead, whatever the profile says, where this vLLM has it.`,
    ),
  };
};
