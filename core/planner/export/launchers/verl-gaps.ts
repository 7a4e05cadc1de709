/** What verl, with FSDP and vLLM, cannot say of a plan. */
import { layoutOf, modelName, type Plan } from "../../plan.ts";
import { present } from "../command.ts";
import { atLeast, type Version } from "../target.ts";
import {
  notChunked,
  notOnDisk,
  notOneCopy,
  notOneOfTwo,
  notQuantised,
  notWhole,
  type Unexpressed,
} from "../unexpressed.ts";

export function verlGaps(plan: Plan, version: Version): readonly Unexpressed[] {
  return [
    ...placementGaps(plan),
    // FSDP has a trainer on every GPU.
    ...notWhole(plan, layoutOf(plan.placement).trainerGpus),
    ...trainingGaps(plan),
    ...memoryGaps(plan, version),
  ];
}

function placementGaps(plan: Plan): readonly Unexpressed[] {
  const { placement } = plan;
  return present<Unexpressed>(
    placement.kind === "separate" && {
      what: "engine and trainer on GPUs of their own, in turn",
      why: "apart, verl samples one step ahead",
      nearest: "one_step_off_policy, as written: responses are one update old",
    },
    placement.tensorParallel > 1 && {
      what: `trainer with tensor parallelism ${placement.tensorParallel}`,
      why: "FSDP has none",
      nearest: "actor.strategy=megatron with actor.megatron.tensor_model_parallel_size",
    },
    placement.zeroStage < 2 &&
      layoutOf(placement).trainers > 1 && {
        what: `ZeRO ${placement.zeroStage}`,
        why: "FSDP always shards gradients and optimizer",
        nearest: "ZeRO 2, as written: less memory",
      },
  );
}

function trainingGaps({ workload }: Plan): readonly Unexpressed[] {
  return (["policy", "critic"] as const).flatMap((role) => {
    const { precision, masterWeights, autocast, optimizer: name } = workload[role];
    const stored = masterWeights ? "fp32" : precision;
    return present<Unexpressed>(
      masterWeights && {
        what: `${precision} weights beside float32 masters (${role})`,
        why: "FSDP's shard is the master",
        nearest: "model_dtype fp32, as written: gathered in 16 bits, gradients in 32",
      },
      precision === "fp32" &&
        !autocast && {
          what: `computing in fp32 (${role})`,
          why: "FSDP's mixed precision computes in bfloat16",
          nearest: "fp32 weights computed with in bfloat16, as written",
        },
      stored !== "fp32" &&
        name === "adamw" && {
          what: `float32 moments of ${stored} weights (${role})`,
          why: "moments have the precision of FSDP's shard",
          nearest: `moments in ${stored}, as written; or masterWeights`,
        },
      stored === "fp32" &&
        name === "adamw_bf16" && {
          what: `bfloat16 moments of fp32 weights (${role})`,
          why: "moments have the precision of FSDP's shard",
          nearest: "float32 moments, as written",
        },
    );
  });
}

function memoryGaps(plan: Plan, version: Version): readonly Unexpressed[] {
  const { workload, strategies, placement } = plan;
  const { reference: frozen, policy: trained } = workload;
  const lora = trained.lora !== undefined;
  return present<Unexpressed>(
    ...(placement.kind === "colocated" ? notOneOfTwo(plan, "free_cache_engine") : []),
    ...notOneCopy(
      plan,
      strategies.singlePolicyCopy === "off"
        ? "a copy in buckets"
        : "param_offload, as written: the policy on the host while the engine samples",
    ),
    strategies.swap.method === "copy" && {
      what: "weights in one device copy",
      why: "they go through a bucket",
      nearest: "the default bucket",
    },
    lora && {
      what: "reference with weights of its own",
      why: "with LoRA, verl takes the policy without its adapter",
      nearest: "as it is: less memory",
    },
    !lora &&
      strategies.reference === "resident" && {
        what: "reference on the GPU between its phases",
        why: "FSDP keeps forward-only models on the host, whatever param_offload says",
        nearest: "on the host, as written",
      },
    modelName(frozen.model) !== modelName(trained.model) &&
      !lora &&
      atLeast(version, "0.8.0") && {
        what: `reference ${modelName(frozen.model)}`,
        why: "since 0.8 the reference is the policy's first checkpoint",
        nearest: modelName(trained.model),
      },
    ...notOnDisk(plan, "verl"),
    ...notQuantised(plan, "FSDP loads frozen models in 16 or 32 bits", "bf16, as written"),
    ...notChunked(plan, "actor.entropy_from_logits_with_chunking, for the entropy only"),
  );
}
