/** What int8 weights of this run's frozen roles change of what it scores, and what they save; measured before it began. */
import type { ReactNode } from "react";
import { changeWords, type QuantisedRole, quantityName } from "../../../../core/run/quantisation.ts";
import { formatBytes } from "../../../../core/units.ts";
import "./quantisation.css";

export function Quantisation({ roles }: { readonly roles: readonly QuantisedRole[] }): ReactNode {
  if (roles.length === 0) return undefined;
  return (
    <ul className="quantisation figures" aria-label="What int8 weights change">
      {roles.map((quantised) => (
        <li key={quantised.role} title={howMeasured(quantised)}>
          <b>int8 {quantised.role}</b> {formatBytes(quantised.floatBytes)} → {formatBytes(quantised.int8Bytes)};{" "}
          {quantised.changes.map(changeWords).join("; ")}
        </li>
      ))}
    </ul>
  );
}

function howMeasured({ role, changes }: QuantisedRole): string {
  const compared = changes.map(
    ({ quantity, compared }) => `${compared.toLocaleString("en")} ${quantityName(quantity)}`,
  );
  return `Mean and largest absolute change of ${compared.join(" and ")}: the rollouts of the first step, scored by the ${role} as its checkpoint has it and as int8.`;
}
