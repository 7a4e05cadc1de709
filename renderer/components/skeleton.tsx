/** The place of rows that have not arrived yet. */
import type { ReactNode } from "react";
import "./skeleton.css";

export function Skeleton({ rows }: { readonly rows: number }): ReactNode {
  return (
    <div className="skeleton" aria-hidden>
      {Array.from({ length: rows }, (_, row) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: identical placeholders
        <div key={row} className="skeleton-row" />
      ))}
    </div>
  );
}
