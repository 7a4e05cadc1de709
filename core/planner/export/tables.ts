/** A prediction's bytes, phase by consumer, for spreadsheets (CSV), for an issue (Markdown) and for programs (JSON). */
import { CONSUMERS, type Consumer } from "../../consumers.ts";
import { formatBytes, GIB } from "../../units.ts";
import type { Plan } from "../plan.ts";
import type { PredictedFigures } from "./figures.ts";

interface PhaseTable {
  /** From the bottom of the stack to its top; those that hold nothing in any phase are left out. */
  readonly consumers: readonly Consumer[];
  readonly rows: readonly { readonly phase: string; readonly bytes: readonly number[]; readonly totalBytes: number }[];
}

function tableOf({ phases }: PredictedFigures): PhaseTable {
  const consumers = CONSUMERS.filter((consumer) => phases.some(({ bytes }) => (bytes[consumer] ?? 0) > 0));
  const rows = phases.map(({ work, bytes: held }) => {
    const bytes = consumers.map((consumer) => held[consumer] ?? 0);
    return { phase: work, bytes, totalBytes: bytes.reduce((sum, one) => sum + one, 0) };
  });
  return { consumers, rows };
}

/** Bytes, not GiB: a spreadsheet formats as it likes. One row per phase, with the plan's name for tables put together. */
export function phasesAsCsv(plan: Plan, figures: PredictedFigures): string {
  const { consumers, rows } = tableOf(figures);
  const lines = [
    ["plan", "phase", ...consumers.map((consumer) => `${consumer} (bytes)`), "total (bytes)", "capacity (bytes)"],
    ...rows.map(({ phase, bytes, totalBytes }) => [plan.name, phase, ...bytes, totalBytes, figures.gpuBytes]),
  ];
  return lines.map((cells) => `${cells.map(csvCell).join(",")}\r\n`).join("");
}

/** RFC 4180. Text that a spreadsheet would take for a formula gets the apostrophe that says it is text. */
function csvCell(value: string | number): string {
  if (typeof value === "number") return String(value);
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** GiB with the largest phase in bold, for an issue. */
export function phasesAsMarkdown(plan: Plan, figures: PredictedFigures): string {
  const { consumers, rows } = tableOf(figures);
  const peakBytes = Math.max(0, ...rows.map(({ totalBytes }) => totalBytes));
  const gib = (bytes: number) => (bytes === 0 ? "" : (bytes / GIB).toFixed(2));
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const verdict = peakBytes <= figures.gpuBytes ? "of" : "and does not fit into";
  return [
    `**${markdownText(plan.name)}**, predicted: peak ${formatBytes(peakBytes)} ${verdict} ${formatBytes(figures.gpuBytes)} per GPU`,
    "",
    line(["GiB", ...consumers, "total"]),
    line([":--", ...consumers.map(() => "--:"), "--:"]),
    ...rows.map(({ phase, bytes, totalBytes }) => {
      const total = gib(totalBytes);
      return line([phase, ...bytes.map(gib), totalBytes === peakBytes ? `**${total}**` : total]);
    }),
    "",
  ].join("\n");
}

/** What somebody called their plan, without meaning as Markdown or HTML, on one line. */
function markdownText(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_{}[\]<>()#+!|~@&-]/g, (character) => `\\${character}`);
}

export function phasesAsJson(plan: Plan, figures: PredictedFigures): string {
  return `${JSON.stringify({ plan, figures }, undefined, 2)}\n`;
}
