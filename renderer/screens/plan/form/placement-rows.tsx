/** On how many GPUs, and whether trainers and engines share them (S8). */
import { type ReactNode, useId } from "react";
import { layoutOf, type Placement, type Plan } from "../../../../core/planner/plan.ts";
import { NO_STRATEGIES } from "../../../../core/schedule/strategies.ts";
import { Segmented } from "../../../components/field.tsx";
import { editPlan, usePlan } from "../../../state/plan.ts";
import { evaluationOf, useProblem } from "../evaluation.ts";
import { Row } from "./controls.tsx";

type CountName = "gpus" | "trainerGpus" | "engineGpus";

export function PlacementRows(): ReactNode {
  const placement = usePlan(({ plan }) => plan.placement);
  // Of the placement as a whole; its counts have their own below them.
  const problem = usePlan(({ plan }) => {
    const evaluation = evaluationOf(plan);
    return evaluation.ok ? undefined : evaluation.problems.find(({ field }) => field === "placement");
  });
  return (
    <>
      <Row label="Engines" title="On the trainers' GPUs, or on GPUs of their own" problem={problem?.message}>
        <Segmented
          legend="Engines"
          value={placement.kind}
          choices={[
            { value: "colocated", label: "Same GPUs" },
            { value: "separate", label: "Own GPUs" },
          ]}
          onValue={(kind) => editPlan("placement.kind", (plan) => placed(plan, kind))}
        />
      </Row>
      {placement.kind === "colocated" ? (
        <CountRow label="GPUs" name="gpus" value={placement.gpus} />
      ) : (
        <>
          <CountRow label="GPUs to train" name="trainerGpus" value={placement.trainerGpus} />
          <CountRow label="GPUs to sample" name="engineGpus" value={placement.engineGpus} />
        </>
      )}
    </>
  );
}

function CountRow(props: { readonly label: string; readonly name: CountName; readonly value: number }): ReactNode {
  const { label, name, value } = props;
  const id = useId();
  const field = `placement.${name}`;
  const problem = useProblem(field);
  const set = (count: number) =>
    editPlan(field, (plan) => ({ ...plan, placement: { ...plan.placement, [name]: count } as Placement }));
  return (
    <Row id={id} label={label} problem={problem?.message}>
      <div className="plan-counts">
        {[1, 2, 4, 8].map((count) => (
          <button
            key={count}
            type="button"
            className="plan-count"
            aria-label={`${label}: ${count}`}
            aria-pressed={count === value}
            onClick={() => set(count)}
          >
            {count}
          </button>
        ))}
      </div>
      <input
        id={id}
        type="number"
        className="input figures plan-number"
        value={Number.isNaN(value) ? "" : value}
        onChange={({ target }) => set(target.valueAsNumber)}
        aria-invalid={problem !== undefined || undefined}
      />
    </Row>
  );
}

/** The other placement of the same GPUs; what only makes sense on shared ones is switched off. */
function placed(plan: Plan, kind: Placement["kind"]): Plan {
  const { placement, strategies } = plan;
  const { gpusPerNode, tensorParallel, zeroStage, engineTensorParallel } = placement;
  const sharding = { gpusPerNode, tensorParallel, zeroStage, engineTensorParallel };
  const { trainerGpus, engineGpus } = layoutOf(placement);
  if (kind === "colocated") return { ...plan, placement: { kind, gpus: trainerGpus, ...sharding } };
  return {
    ...plan,
    placement: { kind, trainerGpus, engineGpus, ...sharding },
    strategies: {
      ...strategies,
      singlePolicyCopy: "off",
      ...(strategies.swap.method === "share" && { swap: NO_STRATEGIES.swap }),
    },
  };
}
