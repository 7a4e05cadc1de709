/**
 * A report as the text of one HTML file that needs nothing else: no script, no network, no font. Its only style is the one
 * written into it, and its own policy names that one by its hash.
 */
import { createHash } from "node:crypto";
import { renderToStaticMarkup } from "react-dom/server";
import type { RunReport } from "../../core/report/report.ts";
import { consumerColour } from "../../core/timeline/consumer-colours.ts";
import { STACK_ORDER } from "../../core/timeline/stack.ts";
import { Document } from "./document.tsx";
import { consumerClass } from "./figures/chart.tsx";
import rules from "./report.css?raw";

export function renderReport(report: RunReport): string {
  const styles = `${rules}${consumerRules()}`;
  const hash = createHash("sha256").update(styles).digest("base64");
  const policy = `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`;
  const document = <Document report={report} styles={styles} contentSecurityPolicy={policy} />;
  return `<!doctype html>\n${renderToStaticMarkup(document)}\n`;
}

/** Each consumer's colour, in both schemes. */
function consumerRules(): string {
  return STACK_ORDER.map((consumer) => {
    const [light, dark] = [consumerColour(consumer, "light"), consumerColour(consumer, "dark")];
    return `.${consumerClass(consumer)}{--c:light-dark(${light},${dark})}\n`;
  }).join("");
}
