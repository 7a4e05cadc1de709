/** Writes the plan down: as the flags of a launcher, with what it has no words for; as data; as a picture. */
import { Check, Copy, Download } from "lucide-react";
import { type ReactNode, useMemo, useState } from "react";
import { type TidelineErrorData, toErrorData } from "../../../../core/errors.ts";
import { type Command, commandText } from "../../../../core/planner/export/command.ts";
import { exportPlan, type LauncherExport } from "../../../../core/planner/export/export.ts";
import type { PredictedFigures } from "../../../../core/planner/export/figures.ts";
import { phasesAsCsv, phasesAsJson, phasesAsMarkdown } from "../../../../core/planner/export/tables.ts";
import { describeTarget, LAUNCHERS, type Launcher, parseTarget } from "../../../../core/planner/export/target.ts";
import type { Plan } from "../../../../core/planner/plan.ts";
import { figuresOf } from "../../../../core/planner/predict/figures.ts";
import { Button } from "../../../components/button.tsx";
import { Dialog } from "../../../components/dialog.tsx";
import { ErrorBox } from "../../../components/error-words.tsx";
import { Segmented, TextField } from "../../../components/field.tsx";
import { Words } from "../../../components/words.tsx";
import { copyText, fileStem, saveFile } from "../../../state/files.ts";
import { notifyError } from "../../../state/notices.ts";
import { usePlan } from "../../../state/plan.ts";
import { pictureAsPng, pictureAsSvg } from "../chart/picture.ts";
import { predictionOf } from "../evaluation.ts";
import "./export-dialog.css";

const NAMES: Readonly<Record<Launcher, string>> = {
  sglang: "SGLang",
  vllm: "vLLM",
  openrlhf: "OpenRLHF",
  verl: "verl",
  trl: "TRL",
  slime: "slime",
};

export function ExportDialog(): ReactNode {
  const plan = usePlan((store) => store.plan);
  const figures = useMemo(() => {
    const prediction = predictionOf(plan);
    return prediction && figuresOf(prediction);
  }, [plan]);
  return (
    <Dialog title="Export" description={plan.name} width="full">
      {figures === undefined ? (
        <p className="panel-empty">The plan is impossible: correct the fields that are marked.</p>
      ) : (
        <div className="plan-export">
          <LauncherFlags plan={plan} figures={figures} />
          <DataAndPictures plan={plan} figures={figures} />
        </div>
      )}
    </Dialog>
  );
}

interface ExportProps {
  readonly plan: Plan;
  readonly figures: PredictedFigures;
}

function LauncherFlags({ plan, figures }: ExportProps): ReactNode {
  const [launcher, setLauncher] = useState<Launcher>("openrlhf");
  const [version, setVersion] = useState("");
  const written = write(plan, figures, launcher, version);
  return (
    <section className="plan-export-flags" aria-label="Flags of a launcher">
      <div className="plan-export-target">
        <Segmented
          legend="Launcher"
          value={launcher}
          choices={LAUNCHERS.map((value) => ({ value, label: NAMES[value] }))}
          onValue={(chosen) => {
            setLauncher(chosen);
            setVersion("");
          }}
        />
        <TextField
          label="Version"
          value={version}
          placeholder={describeTarget(parseTarget(launcher)).replace(/^.*@/, "")}
          onChange={({ target }) => setVersion(target.value)}
        />
      </div>
      {"error" in written ? (
        <ErrorBox error={written.error} />
      ) : (
        <>
          {written.commands.map((command) => (
            <CommandBlock key={command.starts} command={command} />
          ))}
          <Unexpressed written={written} name={NAMES[launcher]} />
          {written.notes.length > 0 && (
            <ul className="plan-export-notes">
              {written.notes.map((note) => (
                <li key={note}>
                  <Words text={note} />
                </li>
              ))}
            </ul>
          )}
        </>
      )}
    </section>
  );
}

function write(
  plan: Plan,
  figures: PredictedFigures,
  launcher: Launcher,
  version: string,
): LauncherExport | { readonly error: TidelineErrorData } {
  try {
    return exportPlan(plan, figures, parseTarget(version.trim() === "" ? launcher : `${launcher}@${version.trim()}`));
  } catch (error) {
    return { error: toErrorData(error) };
  }
}

function CommandBlock({ command }: { readonly command: Command }): ReactNode {
  const text = commandText(command);
  return (
    <div className="plan-export-command">
      <p className="plan-export-head">
        <span>Starts the {command.starts}</span>
        <CopyButton text={text} what={`the ${command.starts}'s command`} />
      </p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a long command scrolls with the arrow keys */}
      <pre className="mono" tabIndex={0}>
        {text}
      </pre>
    </div>
  );
}

function Unexpressed({ written, name }: { readonly written: LauncherExport; readonly name: string }): ReactNode {
  if (written.unexpressed.length === 0) {
    return <p className="plan-export-all">{name} can say all of this plan.</p>;
  }
  return (
    <div className="plan-export-gaps">
      <h3>{name} cannot say</h3>
      <dl>
        {written.unexpressed.map(({ what, why, nearest }) => (
          <div key={what}>
            <dt>{what}</dt>
            <dd>
              {why}. <span className="plan-export-nearest">Nearest: {nearest}.</span>
            </dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

const FORMATS = [
  { name: "Markdown", extension: "md", type: "text/markdown", text: phasesAsMarkdown, about: "a table for an issue" },
  { name: "CSV", extension: "csv", type: "text/csv", text: phasesAsCsv, about: "bytes per phase and consumer" },
  { name: "JSON", extension: "json", type: "application/json", text: phasesAsJson, about: "the plan and its figures" },
] as const;

function DataAndPictures({ plan, figures }: ExportProps): ReactNode {
  const stem = fileStem(plan.name);
  const save = (what: string, content: () => Promise<Blob> | Blob, extension: string) => async () => {
    try {
      saveFile(`${stem}.${extension}`, await content());
    } catch (error) {
      notifyError(`Save the ${what}`, toErrorData(error));
    }
  };
  return (
    <aside className="plan-export-data" aria-label="Data and pictures">
      <h3>Data</h3>
      {FORMATS.map(({ name, extension, type, text, about }) => (
        <div key={name} className="plan-export-format">
          <div>
            <p>{name}</p>
            <p className="field-hint">{about}</p>
          </div>
          <CopyButton text={text(plan, figures)} what={name} />
          <Button
            icon={Download}
            kind="quiet"
            className="button-icon"
            aria-label={`Save as ${name}`}
            onClick={save(name, () => new Blob([text(plan, figures)], { type }), extension)}
          />
        </div>
      ))}
      <h3>Picture of the chart</h3>
      <div className="plan-export-pictures">
        <Button
          icon={Download}
          onClick={save("SVG", () => new Blob([pictureAsSvg()], { type: "image/svg+xml" }), "svg")}
        >
          SVG
        </Button>
        <Button icon={Download} onClick={save("PNG", pictureAsPng, "png")}>
          PNG
        </Button>
      </div>
    </aside>
  );
}

const SAID_MS = 2000;

function CopyButton({ text, what }: { readonly text: string; readonly what: string }): ReactNode {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    try {
      await copyText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), SAID_MS);
    } catch (error) {
      notifyError(`Copy ${what}`, toErrorData(error));
    }
  };
  return (
    <Button kind="quiet" icon={copied ? Check : Copy} aria-label={`Copy ${what}`} onClick={() => void copy()}>
      {copied ? "Copied" : "Copy"}
    </Button>
  );
}
