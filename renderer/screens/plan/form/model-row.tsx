/** Chooses a model: one of the catalogue, or any other by its config.json. */
import { type ReactNode, useRef, useState } from "react";
import { toErrorData } from "../../../../core/errors.ts";
import { MODEL_NAMES } from "../../../../core/planner/models/catalogue.ts";
import { parseArchitecture } from "../../../../core/planner/models/from-config.ts";
import { modelName, type PlannedModel } from "../../../../core/planner/plan.ts";
import { Row } from "./controls.tsx";

const FROM_FILE = "config.json…";

/** The catalogue by family. */
const FAMILIES: ReadonlyMap<string, readonly string[]> = MODEL_NAMES.reduce(
  (families, name) => families.set(familyOf(name), [...(families.get(familyOf(name)) ?? []), name]),
  new Map<string, readonly string[]>(),
);

/** "Qwen2.5-7B" is a Qwen2.5, "Llama-3.1-8B" a Llama-3.1. */
function familyOf(name: string): string {
  return /^(DeepSeek-R1-Distill|Llama-[\d.]+|[A-Za-z]+[\d.]*)/.exec(name)?.[0] ?? name;
}

export function ModelRow(props: {
  readonly label: string;
  readonly title?: string;
  readonly value: PlannedModel;
  readonly problem: string | undefined;
  readonly onValue: (model: PlannedModel) => void;
}): ReactNode {
  const file = useRef<HTMLInputElement>(null);
  const [unread, setUnread] = useState<string>();
  const name = modelName(props.value);
  const choose = (chosen: string) => {
    setUnread(undefined);
    if (chosen === FROM_FILE) file.current?.click();
    else if (chosen !== name) props.onValue(chosen);
  };
  const read = async (given: File | undefined) => {
    if (given === undefined) return;
    try {
      props.onValue(modelOfConfig(await given.text(), given.name));
    } catch (error) {
      const { message, hint } = toErrorData(error);
      setUnread([message, hint].filter((part) => part !== undefined).join("; "));
    }
  };
  return (
    <Row label={props.label} title={props.title} problem={unread ?? props.problem}>
      <select
        className="input plan-select"
        aria-label={props.label}
        value={name}
        onChange={({ target }) => choose(target.value)}
      >
        {!MODEL_NAMES.includes(name) && <option value={name}>{name}</option>}
        {[...FAMILIES].map(([family, names]) => (
          <optgroup key={family} label={family}>
            {names.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </optgroup>
        ))}
        <optgroup label="Another">
          <option value={FROM_FILE}>{FROM_FILE}</option>
        </optgroup>
      </select>
      <input
        ref={file}
        type="file"
        accept=".json,application/json"
        hidden
        aria-label={`config.json of the ${props.label}`}
        onChange={({ target }) => {
          void read(target.files?.[0]);
          target.value = "";
        }}
      />
    </Row>
  );
}

/**
 * The model that a config.json describes.
 * @throws TidelineError that names what the file lacks.
 */
export function modelOfConfig(text: string, file: string): PlannedModel {
  parseArchitecture(text, file);
  const config = JSON.parse(text);
  const given: unknown = config._name_or_path;
  const name = typeof given === "string" && given !== "" ? (given.split("/").at(-1) ?? file) : file;
  return { name: name.slice(0, 200), config };
}
