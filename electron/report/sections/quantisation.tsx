/** What int8 weights of frozen roles change, and what they save. */
import type { ReactNode } from "react";
import { type QuantisedRole, quantityName } from "../../../core/run/quantisation.ts";
import { formatBytes } from "../../../core/units.ts";
import { Section, Table } from "./section.tsx";

export function Quantisation({ roles }: { readonly roles: readonly QuantisedRole[] }): ReactNode {
  if (roles.length === 0) return undefined;
  return (
    <Section
      id="int8"
      title="What int8 weights change"
      about="The rollouts of the first step, scored by the weights as their checkpoint has them and by their int8 form."
    >
      <Table
        caption="Change by int8 weights"
        columns={[
          { name: "Role" },
          { name: "Bytes", isNumber: true },
          { name: "As int8", isNumber: true },
          { name: "Compared", isNumber: true },
          { name: "Mean absolute change", isNumber: true },
          { name: "Largest", isNumber: true },
        ]}
        rows={roles.flatMap(({ role, floatBytes, int8Bytes, changes }) =>
          changes.map(({ quantity, compared, meanAbsolute, maxAbsolute }) => [
            role,
            formatBytes(floatBytes),
            formatBytes(int8Bytes),
            `${compared.toLocaleString("en")} ${quantityName(quantity)}`,
            meanAbsolute.toPrecision(3),
            maxAbsolute.toPrecision(3),
          ]),
        )}
      />
    </Section>
  );
}
