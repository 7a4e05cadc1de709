/** The plan as a form: the five things that people change first, the rest closed below them. */
import type { ReactNode } from "react";
import { editPlan } from "../../../state/plan.ts";
import { NumberRow } from "./controls.tsx";
import { GpuFold, GpuRow } from "./gpu-rows.tsx";
import { trainedField, workloadField } from "./lens.ts";
import { ModelRow } from "./model-row.tsx";
import { PlacementRows } from "./placement-rows.tsx";
import { withModel } from "./roles.ts";
import { EngineFold, FrozenFold, SequencesFold, ShardingFold, TrainedFold } from "./sections.tsx";
import { usePlanField } from "./use-plan-field.ts";
import "./workload-form.css";

export function WorkloadForm(): ReactNode {
  const model = usePlanField(trainedField("policy", "model"));
  return (
    <div className="plan-form">
      <div className="plan-form-first">
        <ModelRow
          label="Model"
          title="Of the policy, and of every role that has the policy's model"
          value={model.value}
          problem={model.problem}
          onValue={(chosen) => editPlan(model.field, (plan) => withModel(plan, chosen))}
        />
        <GpuRow />
        <PlacementRows />
        <NumberRow
          label="Batch"
          title="Rollouts of one PPO step, over all GPUs"
          lens={workloadField("batch")}
          most={8192}
        />
        <NumberRow
          label="Response"
          title="Tokens of a response at most"
          lens={workloadField("responseTokens")}
          most={131_072}
        />
      </div>
      <SequencesFold />
      <TrainedFold of="policy" title="Policy" />
      <TrainedFold of="critic" title="Critic" />
      <FrozenFold />
      <EngineFold />
      <ShardingFold />
      <GpuFold />
    </div>
  );
}
