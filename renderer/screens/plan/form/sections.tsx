/** What the form keeps closed: sequences, roles, engine, sharding. */
import type { ReactNode } from "react";
import { isEmbedded } from "../../../../core/planner/gpus/planned-gpu.ts";
import { FROZEN_PRECISIONS, modelName, OPTIMIZERS, type TrainedRole } from "../../../../core/planner/plan.ts";
import { precisionSchema, statePrecisionSchema } from "../../../../core/schedule/schedule.ts";
import { Segmented } from "../../../components/field.tsx";
import { editPlan, usePlan } from "../../../state/plan.ts";
import { CheckRow, NumberRow, type Option, OptionalNumberRow, Row, SelectRow, SizeRow } from "./controls.tsx";
import { Fold } from "./fold.tsx";
import {
  engineField,
  type FrozenName,
  frozenField,
  gradientPrecision,
  type Lens,
  loraRank,
  optionalEngineField,
  optionalWorkloadField,
  placementField,
  type TrainedName,
  trainedField,
  workloadField,
} from "./lens.ts";
import { ModelRow } from "./model-row.tsx";
import { withReward } from "./roles.ts";
import { usePlanField } from "./use-plan-field.ts";

const PRECISION_WORDS = { fp32: "fp32", bf16: "bf16", fp16: "fp16", int8: "int8", fp8: "fp8", nf4: "nf4" } as const;
const PRECISIONS = precisionSchema.options.map((value) => ({ value, label: PRECISION_WORDS[value] }));
const STATE_PRECISIONS = statePrecisionSchema.options.map((value) => ({ value, label: PRECISION_WORDS[value] }));
const STORED = FROZEN_PRECISIONS.map((value) => ({ value, label: PRECISION_WORDS[value] }));

const OPTIMIZER_WORDS: Readonly<Record<(typeof OPTIMIZERS)[number], string>> = {
  adamw: "AdamW, fp32",
  adamw_bf16: "AdamW, bf16",
  adamw_8bit: "AdamW, 8 bits",
  sgd: "SGD",
};
const OPTIMIZER_OPTIONS = OPTIMIZERS.map((value) => ({ value, label: OPTIMIZER_WORDS[value] }));

type AttentionName = "eager" | "sdpa" | "flash";
const ATTENTION: readonly Option<AttentionName>[] = [
  { value: "flash", label: "flash" },
  { value: "sdpa", label: "sdpa" },
  { value: "eager", label: "eager" },
];

export function SequencesFold(): ReactNode {
  const promptTokens = usePlan(({ plan }) => plan.workload.promptTokens);
  const microBatch = usePlan(({ plan }) => plan.workload.microBatch);
  const packing = usePlan(({ plan }) => plan.workload.packing);
  const summary = `prompt ${promptTokens}, micro-batch ${microBatch}${packing ? ", packed" : ""}`;
  return (
    <Fold
      title="Sequences"
      summary={summary}
      fields={["promptTokens", "microBatch", "attention", "packing", "lossChunkTokens"].map((one) => `workload.${one}`)}
    >
      <NumberRow label="Prompt" title="Tokens of a prompt at most" lens={workloadField("promptTokens")} most={32_768} />
      <NumberRow
        label="Micro-batch"
        title="Sequences that a GPU scores or trains on together"
        lens={workloadField("microBatch")}
        most={256}
      />
      <SelectRow label="Attention" lens={workloadField("attention")} options={ATTENTION} />
      <CheckRow
        label="Packing"
        title="Sequences one behind the other instead of each padded to the longest"
        lens={workloadField("packing")}
      />
      <OptionalNumberRow
        label="Loss in parts of"
        title="Log-probs and loss so many tokens at a time"
        lens={optionalWorkloadField("lossChunkTokens")}
        placeholder="whole micro-batch"
        unit={{ of: 1, name: "tokens" }}
      />
    </Fold>
  );
}

export function TrainedFold({ of: role, title }: { readonly of: TrainedName; readonly title: string }): ReactNode {
  const planned = usePlan(({ plan }) => plan.workload[role]);
  const embedded = usePlan(({ plan }) => isEmbedded(plan.gpu));
  const model = usePlanField(trainedField(role, "model"));
  return (
    <Fold title={title} summary={trainedWords(planned)} fields={[`workload.${role}`]}>
      <ModelRow label="Model" value={model.value} problem={model.problem} onValue={model.set} />
      <SelectRow
        label="Precision"
        title={embedded ? "Of weights on the device" : "Of weights and gradients on the device"}
        lens={trainedField(role, "precision")}
        options={PRECISIONS}
      />
      {(embedded || planned.gradients !== undefined) && (
        <SelectRow
          label="Gradients"
          title="The embedded engine's: in bfloat16 every micro-batch's sum is rounded"
          lens={gradientPrecision(role)}
          options={STATE_PRECISIONS}
        />
      )}
      {planned.precision === "fp32" ? (
        <CheckRow
          label="Autocast"
          title="32-bit weights that are computed with in bfloat16"
          lens={trainedField(role, "autocast")}
        />
      ) : (
        <CheckRow
          label="fp32 masters"
          title="float32 copies of the weights, part of the optimizer's memory"
          lens={trainedField(role, "masterWeights")}
        />
      )}
      <SelectRow label="Optimizer" lens={trainedField(role, "optimizer")} options={OPTIMIZER_OPTIONS} />
      <CheckRow
        label="Checkpointing"
        title="Activations are computed again in the backward pass instead of being kept"
        lens={trainedField(role, "gradientCheckpointing")}
      />
      <OptionalNumberRow
        label="LoRA rank"
        title="Trains adapters of this rank and no weights"
        lens={loraRank(role)}
        placeholder="all weights"
      />
    </Fold>
  );
}

function trainedWords({ model, precision, optimizer, lora, gradientCheckpointing }: TrainedRole): string {
  return [
    modelName(model),
    precision,
    lora === undefined ? OPTIMIZER_WORDS[optimizer] : `LoRA ${lora.rank}`,
    ...(gradientCheckpointing ? ["checkpointing"] : []),
  ].join(", ");
}

export function FrozenFold(): ReactNode {
  const reference = usePlan(({ plan }) => plan.workload.reference);
  const reward = usePlan(({ plan }) => plan.workload.reward);
  const rewardWords = reward === "rule" ? "rule" : `${modelName(reward.model)} ${reward.precision}`;
  return (
    <Fold
      title="Reference, reward"
      summary={`${modelName(reference.model)} ${reference.precision}, ${rewardWords}`}
      fields={["workload.reference", "workload.reward"]}
    >
      <h4 className="plan-fold-part">Reference</h4>
      <FrozenRows of="reference" />
      <h4 className="plan-fold-part">Reward</h4>
      <Row label="Given by" problem={undefined}>
        <Segmented
          legend="Reward given by"
          value={reward === "rule" ? "rule" : "model"}
          choices={[
            { value: "rule", label: "A rule" },
            { value: "model", label: "A model" },
          ]}
          onValue={(kind) => editPlan("workload.reward", (plan) => withReward(plan, kind))}
        />
      </Row>
      {reward !== "rule" && <FrozenRows of="reward" />}
    </Fold>
  );
}

function FrozenRows({ of: role }: { readonly of: FrozenName }): ReactNode {
  const model = usePlanField(frozenField(role, "model"));
  const precision: Lens<(typeof FROZEN_PRECISIONS)[number]> = {
    ...frozenField(role, "precision"),
    get: (plan) => frozenField(role, "precision").get(plan) ?? "bf16",
  };
  if (model.value === undefined) return undefined;
  return (
    <>
      <ModelRow label="Model" value={model.value} problem={model.problem} onValue={model.set} />
      <SelectRow label="Precision" title="How it is stored" lens={precision} options={STORED} />
    </>
  );
}

export function EngineFold(): ReactNode {
  const { precision, kvCacheType, cudaGraphs } = usePlan(({ plan }) => plan.workload.engine);
  const tensorParallel = usePlan(({ plan }) => plan.placement.engineTensorParallel);
  const words = [precision, `TP ${tensorParallel}`, `KV ${kvCacheType}`, ...(cudaGraphs ? ["CUDA graphs"] : [])];
  return (
    <Fold title="Engine" summary={words.join(", ")} fields={["workload.engine", "placement.engineTensorParallel"]}>
      <SelectRow label="Precision" lens={engineField("precision")} options={PRECISIONS} />
      <SelectRow
        label="KV cache"
        lens={engineField("kvCacheType")}
        options={[
          { value: "auto", label: "as the engine" },
          { value: "fp8_e4m3", label: "fp8 e4m3" },
          { value: "fp8_e5m2", label: "fp8 e5m2" },
        ]}
      />
      <SizeRow
        label="KV cache size"
        title="Per GPU"
        lens={optionalEngineField("kvCacheBytes")}
        placeholder="what the rollouts need"
      />
      <OptionalNumberRow
        label="Concurrent"
        title="Sequences that one engine decodes together"
        lens={optionalEngineField("runningSequences")}
        placeholder="all it is given"
      />
      <CheckRow label="CUDA graphs" lens={engineField("cudaGraphs")} />
      <NumberRow
        label="Tensor parallel"
        title="GPUs that one engine is spread over"
        lens={placementField("engineTensorParallel")}
      />
    </Fold>
  );
}

const ZERO: readonly Option<"0" | "1" | "2" | "3">[] = [
  { value: "0", label: "0: nothing shared" },
  { value: "1", label: "1: optimizer" },
  { value: "2", label: "2: and gradients" },
  { value: "3", label: "3: and weights, as FSDP" },
];
const STAGES = { "0": 0, "1": 1, "2": 2, "3": 3 } as const;

const zeroStage: Lens<"0" | "1" | "2" | "3"> = {
  ...placementField("zeroStage"),
  get: ({ placement }) => `${placement.zeroStage}`,
  set: (plan, value) => placementField("zeroStage").set(plan, STAGES[value]),
};

export function ShardingFold(): ReactNode {
  const { tensorParallel, zeroStage: stage, gpusPerNode } = usePlan(({ plan }) => plan.placement);
  return (
    <Fold
      title="Sharding"
      summary={`TP ${tensorParallel}, ZeRO ${stage}, ${gpusPerNode} a node`}
      fields={["placement.tensorParallel", "placement.zeroStage", "placement.gpusPerNode"]}
    >
      <SelectRow label="ZeRO" title="What data-parallel trainers share" lens={zeroStage} options={ZERO} />
      <NumberRow
        label="Tensor parallel"
        title="GPUs that one trainer is spread over"
        lens={placementField("tensorParallel")}
      />
      <NumberRow label="GPUs per node" lens={placementField("gpusPerNode")} />
    </Fold>
  );
}
