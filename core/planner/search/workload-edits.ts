/** What can be changed in the workload of a plan that does not fit: how it computes, in how many bits, and what is trained. */
import { formatBytes } from "../../units.ts";
import { isEmbedded } from "../gpus/planned-gpu.ts";
import { type FrozenRole, layoutOf, type Plan, type PlannedWorkload, type TrainedRole } from "../plan.ts";
import { type Edit, step } from "./edit.ts";
import { storedAs, withKvCache } from "./variants.ts";

export function workloadEdits(plan: Plan): readonly Edit[] {
  return [
    checkpointing(plan),
    microBatch(plan),
    lossChunks(plan),
    attention(plan),
    runningSequences(plan),
    kvCacheBytes(plan),
    cudaGraphs(plan),
    kvCacheType(plan),
    frozenPrecision(plan, "reference"),
    frozenPrecision(plan, "reward"),
    trainedPrecision(plan),
    gradients(plan),
    optimizer(plan),
    lora(plan),
  ];
}

// ---------------------------------------------------------------------------------------------------------------------
// The same numbers

function checkpointing({ workload }: Plan): Edit {
  const lacks = trainedRoles(workload).some(({ gradientCheckpointing }) => !gradientCheckpointing);
  const apply = ofTrained(() => ({ gradientCheckpointing: true }));
  return {
    field: "workload.policy.gradientCheckpointing",
    effect: "speed",
    steps: lacks ? [step("gradient checkpointing", apply)] : [],
  };
}

function microBatch({ workload: { microBatch: from } }: Plan): Edit {
  const sizes = halvings(from);
  return {
    field: "workload.microBatch",
    effect: "speed",
    steps: sizes.map((to) => step(`micro-batch ${from} → ${to}`, inWorkload({ microBatch: to }))),
  };
}

/** Rows of a vocabulary that are computed at once without anybody noticing. */
const LOSS_CHUNK_TOKENS = 1024;

function lossChunks({ workload, gpu }: Plan): Edit {
  const { lossChunkTokens, microBatch: sequences, promptTokens, responseTokens } = workload;
  const rows = lossChunkTokens ?? sequences * (promptTokens + responseTokens);
  const chunk = inWorkload({ lossChunkTokens: LOSS_CHUNK_TOKENS });
  // The embedded engine always computes logits in chunks.
  const helps = rows > LOSS_CHUNK_TOKENS && !isEmbedded(gpu);
  return {
    field: "workload.lossChunkTokens",
    effect: "speed",
    steps: helps ? [step(`log-probs ${LOSS_CHUNK_TOKENS} tokens at a time`, chunk)] : [],
  };
}

function attention({ workload: { attention: kernel }, gpu }: Plan): Edit {
  const apply = inWorkload({ attention: "flash" });
  return {
    field: "workload.attention",
    effect: "speed",
    steps: kernel !== "flash" && !isEmbedded(gpu) ? [step("flash attention", apply)] : [],
  };
}

function runningSequences({ workload, placement }: Plan): Edit {
  const { batch, engine } = workload;
  const from = engine.runningSequences ?? Math.ceil(batch / layoutOf(placement).engines);
  return {
    field: "workload.engine.runningSequences",
    effect: "speed",
    steps:
      engine.kvCacheBytes !== undefined
        ? []
        : halvings(from).map((to) =>
            step(`${to} sequences decoded together instead of ${from}`, inEngine({ runningSequences: to })),
          ),
  };
}

function kvCacheBytes({ workload: { engine } }: Plan): Edit {
  const from = engine.kvCacheBytes ?? 0;
  return {
    field: "workload.engine.kvCacheBytes",
    effect: "speed",
    steps: [2, 4, 8, 16]
      .map((part) => Math.floor(from / part))
      .filter((to) => to > 0)
      .map((to) => step(`KV cache ${formatBytes(from)} → ${formatBytes(to)}`, inEngine({ kvCacheBytes: to }))),
  };
}

function cudaGraphs({ workload: { engine }, gpu }: Plan): Edit {
  return {
    field: "workload.engine.cudaGraphs",
    effect: "speed",
    steps: engine.cudaGraphs && !isEmbedded(gpu) ? [step("no CUDA graphs", inEngine({ cudaGraphs: false }))] : [],
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Fewer bits

function kvCacheType({ workload: { engine }, gpu }: Plan): Edit {
  const apply = (plan: Plan) => withKvCache(plan, "fp8_e4m3");
  const helps = engine.kvCacheType === "auto" && engine.kvCacheBytes === undefined && !isEmbedded(gpu);
  return {
    field: "workload.engine.kvCacheType",
    effect: "precision",
    steps: helps ? [step("KV cache in fp8", apply)] : [],
  };
}

function frozenPrecision({ workload, strategies, gpu }: Plan, role: "reference" | "reward"): Edit {
  const frozen = workload[role];
  const stored = frozen === "rule" ? undefined : strategies.int8[role] ? "int8" : frozen.precision;
  const smaller = stored === undefined ? [] : SMALLER[stored];
  return {
    field: `workload.${role}.precision`,
    effect: "precision",
    steps: smaller
      .filter((precision) => !isEmbedded(gpu) || precision === "int8")
      .map((precision) => step(`${role} in ${precision}`, (plan) => storedAs(plan, role, precision))),
  };
}

/** In what fewer bits a frozen model can be stored. */
const SMALLER: Readonly<Record<FrozenRole["precision"], readonly ("int8" | "nf4")[]>> = {
  fp32: ["int8", "nf4"],
  bf16: ["int8", "nf4"],
  fp16: ["int8", "nf4"],
  int8: ["nf4"],
  fp8: ["nf4"],
  nf4: [],
};

function trainedPrecision({ workload }: Plan): Edit {
  const wide = trainedRoles(workload).some(({ precision }) => precision === "fp32");
  const apply = ofTrained((role) =>
    role.precision === "fp32" ? { precision: "bf16", autocast: false, masterWeights: true } : {},
  );
  const narrowEngine = (plan: Plan) => inEngine({ precision: "bf16" })(apply(plan));
  return {
    field: "workload.policy.precision",
    effect: "precision",
    steps: wide ? [step("weights and gradients in bf16, masters in fp32", narrowEngine)] : [],
  };
}

/** Elsewhere they are in the weights' precision. */
function gradients({ workload, gpu }: Plan): Edit {
  const wide = trainedRoles(workload).some((role) => role.gradients !== "bf16");
  return {
    field: "workload.policy.gradients",
    effect: "precision",
    steps:
      isEmbedded(gpu) && wide
        ? [
            step(
              "gradients in bf16",
              ofTrained(() => ({ gradients: "bf16" })),
            ),
          ]
        : [],
  };
}

function optimizer({ workload, gpu }: Plan): Edit {
  const roles = trainedRoles(workload);
  const down: readonly TrainedRole["optimizer"][] = isEmbedded(gpu)
    ? ["adamw", "adamw_bf16"]
    : ["adamw", "adamw_bf16", "adamw_8bit"];
  const from = Math.min(...roles.map((role) => (role.optimizer === "sgd" ? 2 : down.indexOf(role.optimizer))));
  const words = { adamw: "fp32", adamw_bf16: "bf16", adamw_8bit: "8 bits", sgd: "nothing" } as const;
  return {
    field: "workload.policy.optimizer",
    effect: "precision",
    steps: down.slice(from + 1).map((to) =>
      step(
        `AdamW's moments in ${words[to]}`,
        ofTrained((role) => (role.optimizer === "sgd" ? {} : { optimizer: to })),
      ),
    ),
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Something else is trained

const LORA_RANK = 32;

function lora({ workload, gpu }: Plan): Edit {
  const whole = trainedRoles(workload).some((role) => role.lora === undefined);
  const apply = ofTrained((role) =>
    role.lora === undefined ? { lora: { rank: LORA_RANK }, masterWeights: false } : {},
  );
  return {
    field: "workload.policy.lora",
    effect: "training",
    steps: whole && !isEmbedded(gpu) ? [step(`LoRA of rank ${LORA_RANK} for policy and critic`, apply)] : [],
  };
}

// ---------------------------------------------------------------------------------------------------------------------
// Making edits

type Change = (plan: Plan) => Plan;

function halvings(from: number): readonly number[] {
  const sizes: number[] = [];
  for (let size = Math.floor(from / 2); size >= 1; size = Math.floor(size / 2)) sizes.push(size);
  return sizes;
}

function trainedRoles({ policy, critic }: PlannedWorkload): readonly TrainedRole[] {
  return [policy, critic];
}

function ofTrained(change: (role: TrainedRole) => Partial<TrainedRole>): Change {
  return (plan) => {
    const { policy, critic } = plan.workload;
    return inWorkload({ policy: { ...policy, ...change(policy) }, critic: { ...critic, ...change(critic) } })(plan);
  };
}

function inWorkload(change: Partial<PlannedWorkload>): Change {
  return (plan) => ({ ...plan, workload: { ...plan.workload, ...change } });
}

function inEngine(change: Partial<PlannedWorkload["engine"]>): Change {
  return (plan) => inWorkload({ engine: { ...plan.workload.engine, ...change } })(plan);
}
