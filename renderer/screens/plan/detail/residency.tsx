/** Who is where, in which phase: the residency of every consumer as the plan's schedule has it. */
import { type ReactNode, useMemo } from "react";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { residencyMatrix } from "../../../../core/schedule/check.ts";
import { consumersWith } from "../../../../core/schedule/residency.ts";
import type { Work } from "../../../../core/schedule/works.ts";
import { ResidencyTableCell } from "../../../components/residency-cell.tsx";
import { Swatch } from "../../../timeline/swatch.tsx";

export function Residency(props: { readonly prediction: Prediction; readonly selected: Work }): ReactNode {
  const { schedule, moments } = props.prediction;
  const rows = useMemo(() => residencyMatrix(schedule, moments), [schedule, moments]);
  const consumers = consumersWith(schedule.roles);
  return (
    <div className="plan-detail-scroll">
      <table className="plan-table plan-residency figures">
        <thead>
          <tr>
            <th scope="col">Consumer</th>
            {rows.map(({ phase, work }) => (
              <th scope="col" key={phase} data-selected={work === props.selected || undefined}>
                {work.replace("_", " ")}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {consumers.map((consumer) => (
            <tr key={consumer}>
              <th scope="row">
                <Swatch consumer={consumer} />
                {consumer}
              </th>
              {rows.map(({ phase, work, cells }) => (
                <ResidencyTableCell
                  key={phase}
                  consumer={consumer}
                  cell={cells[consumer]}
                  isCurrent={work === props.selected}
                />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
