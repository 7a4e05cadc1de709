/** The prompt and what comes of it. */
import type { ReactNode } from "react";
import { GenerationOutput } from "./generation-output.tsx";
import { PromptForm } from "./prompt-form.tsx";
import "./generation-panel.css";

export function GenerationPanel(): ReactNode {
  return (
    <section className="panel generation-panel" aria-label="Generate">
      <PromptForm />
      <GenerationOutput />
    </section>
  );
}
