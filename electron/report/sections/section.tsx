/** What sections of a report share: their frame, their tables, and the words for numbers in them. */
import type { ReactNode } from "react";
import { consumerClass } from "../figures/chart.tsx";

export interface SectionProps {
  readonly id: string;
  readonly title: string;
  /** One line on what is seen. */
  readonly about?: string;
  readonly children: ReactNode;
}

export function Section({ id, title, about, children }: SectionProps): ReactNode {
  return (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {about !== undefined && <p className="about">{about}</p>}
      {children}
    </section>
  );
}

export interface Column {
  readonly name: string;
  /** Numbers are set under each other by their last digit. */
  readonly isNumber?: boolean;
}

export interface TableProps {
  /** For those who do not see where it stands. */
  readonly caption: string;
  readonly columns: readonly Column[];
  /** The first cell of a row names it. */
  readonly rows: readonly (readonly ReactNode[])[];
  readonly total?: readonly ReactNode[];
}

export function Table({ caption, columns, rows, total }: TableProps): ReactNode {
  const cells = (row: readonly ReactNode[]) =>
    columns.map(({ name, isNumber }, position) =>
      position === 0 ? (
        <th key={name} scope="row">
          {row[position]}
        </th>
      ) : (
        <td key={name} className={isNumber ? "number" : undefined}>
          {row[position]}
        </td>
      ),
    );
  return (
    <div className="table">
      <table>
        <caption className="unseen">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, isNumber }) => (
              <th key={name} scope="col" className={isNumber ? "number" : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: written once, never reordered
            <tr key={index}>{cells(row)}</tr>
          ))}
        </tbody>
        {total && (
          <tfoot>
            <tr>{cells(total)}</tr>
          </tfoot>
        )}
      </table>
    </div>
  );
}

/** A consumer with its colour beside it. */
export function ConsumerName({ consumer }: { readonly consumer: string }): ReactNode {
  return (
    <span className={`consumer ${consumerClass(consumer)}`}>
      <svg className="swatch" viewBox="0 0 10 10" aria-hidden="true">
        <rect className="band" width="10" height="10" rx="2" />
      </svg>
      {consumer}
    </span>
  );
}

/** "score policy": a work as people read it. */
export function workName(work: string): string {
  return work.replaceAll("_", " ");
}

/** A meter of a share from 0 to 1. */
export function ShareBar({ share }: { readonly share: number }): ReactNode {
  return (
    <svg className="share" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">
      <rect className="share-ground" width="100" height="6" />
      <rect className="share-filled" width={Math.round(1000 * Math.min(1, share)) / 10} height="6" />
    </svg>
  );
}
