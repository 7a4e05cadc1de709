/** SGLang's server: the engine's part of a plan. */
import { layoutOf, type Plan } from "../../plan.ts";
import { sglangBudget } from "../budget.ts";
import { argument, present } from "../command.ts";
import { loadedModel, sequenceTokens, TORCH_DTYPES, type Writer } from "../draft.ts";
import { notOneCopy, releasedOf, type Unexpressed } from "../unexpressed.ts";

export const writeSglang: Writer = (plan, figures) => {
  const { workload, placement, strategies } = plan;
  const { engine } = workload;
  const { engines } = layoutOf(placement);
  const budget = sglangBudget(figures, placement.kind === "colocated" ? "after_trainers" : "first");
  const tags = releasedTags(plan);
  return {
    commands: [
      {
        starts: "engine",
        environment: [],
        program: "python -m sglang.launch_server",
        syntax: "flags",
        arguments: present(
          argument("--model-path", loadedModel(workload.policy.model)),
          argument("--dtype", TORCH_DTYPES[engine.precision]),
          argument("--tp-size", placement.engineTensorParallel),
          engines > 1 && argument("--dp-size", engines),
          argument("--context-length", sequenceTokens(plan)),
          budget.fraction !== undefined && argument("--mem-fraction-static", budget.fraction),
          engine.runningSequences !== undefined && argument("--max-running-requests", engine.runningSequences),
          engine.kvCacheType !== "auto" && argument("--kv-cache-dtype", engine.kvCacheType),
          !engine.cudaGraphs && argument("--disable-cuda-graph"),
          tags.length > 0 && argument("--enable-memory-saver"),
        ),
      },
    ],
    unexpressed: present<Unexpressed>(
      {
        what: "trainer, reference, reward and critic",
        why: "a server is the engine only",
        nearest: "export to openrlhf, verl, trl or slime",
      },
      ...notOneCopy(plan, "POST /update_weights_from_tensor from a trainer on the same GPU"),
      strategies.swap.method === "copy" && {
        what: "weights in one device copy",
        why: "updates arrive in buckets",
        nearest: "/update_weights_from_tensor with load_format flattened_bucket",
      },
      ...budget.unexpressed,
    ),
    notes: present(
      budget.note,
      tags.length > 0 && `After the rollout, when the server is idle: POST /release_memory_occupation ${body(tags)}.`,
      tags.includes("weights") &&
        `Before the update: POST /resume_memory_occupation ${body(["weights"])}; the weights are undefined until it is done.`,
      tags.includes("kv_cache") && `Before the next rollout: POST /resume_memory_occupation ${body(["kv_cache"])}.`,
      tags.length > 0 && "PYTORCH_CUDA_ALLOC_CONF must not hold expandable_segments:True.",
    ),
  };
};

function releasedTags(plan: Plan): readonly string[] {
  const { kvCache, weights } = releasedOf(plan);
  return present(weights && "weights", kvCache && "kv_cache");
}

function body(tags: readonly string[]): string {
  return JSON.stringify({ tags });
}
