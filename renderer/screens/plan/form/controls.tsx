/** Controls of the plan's form: one line each, its label before it, what is wrong with it below. */
import { type ReactNode, useId, useState } from "react";
import { formatBytes, parseBytes } from "../../../../core/units.ts";
import type { Lens } from "./lens.ts";
import { nearestStep, STEPS } from "./steps.ts";
import { usePlanField } from "./use-plan-field.ts";
import "./controls.css";

interface RowProps {
  readonly label: string;
  /** What it means, shown by the pointer. */
  readonly title?: string | undefined;
}

/** A label, its control, and what is wrong with it. */
export function Row(
  props: RowProps & {
    readonly id?: string;
    readonly problem: string | undefined;
    readonly children: ReactNode;
  },
): ReactNode {
  const { id, label, title, problem, children } = props;
  return (
    <div className="plan-row" data-invalid={problem !== undefined || undefined}>
      <label htmlFor={id} title={title}>
        {label}
      </label>
      <div className="plan-row-control">{children}</div>
      {problem !== undefined && (
        <p className="plan-row-problem" id={id && `${id}-problem`} role="alert">
          {problem}
        </p>
      )}
    </div>
  );
}

interface NumberRowProps extends RowProps {
  readonly lens: Lens<number>;
  /** With a slider, over readable numbers from 1 to this. */
  readonly most?: number;
}

export function NumberRow({ label, title, lens, most }: NumberRowProps): ReactNode {
  const id = useId();
  const { value, set, problem } = usePlanField(lens);
  return (
    <Row id={id} label={label} title={title} problem={problem}>
      {most !== undefined && <StepSlider label={label} value={value} most={most} onValue={set} />}
      <input
        id={id}
        type="number"
        className="input figures plan-number"
        value={Number.isNaN(value) ? "" : value}
        onChange={({ target }) => set(target.valueAsNumber)}
        {...invalid(id, problem)}
      />
    </Row>
  );
}

/** A number that may be left out, as its placeholder then says. */
export function OptionalNumberRow(
  props: RowProps & {
    readonly lens: Lens<number | undefined>;
    readonly placeholder: string;
    /** What one of the unit on screen is in the plan. */
    readonly unit?: { readonly of: number; readonly name: string };
    /** Behind the control. */
    readonly after?: ReactNode;
  },
): ReactNode {
  const { label, title, lens, placeholder, unit, after } = props;
  const id = useId();
  const { value, set, problem } = usePlanField(lens);
  const one = unit?.of ?? 1;
  return (
    <Row id={id} label={label} title={title} problem={problem}>
      <input
        id={id}
        type="number"
        className="input figures"
        value={value === undefined || Number.isNaN(value) ? "" : value / one}
        placeholder={placeholder}
        onChange={({ target }) => set(target.value === "" ? undefined : target.valueAsNumber * one)}
        {...invalid(id, problem)}
      />
      {unit && <span className="plan-row-unit">{unit.name}</span>}
      {after}
    </Row>
  );
}

/** A size that may be left out, written as "1.5 GiB". */
export function SizeRow(
  props: RowProps & {
    readonly lens: Lens<number | undefined>;
    readonly placeholder: string;
    /** Behind the control. */
    readonly after?: ReactNode;
  },
): ReactNode {
  const { label, title, lens, placeholder, after } = props;
  const id = useId();
  const { value, set, problem } = usePlanField(lens);
  /** As typed, until it is left. */
  const [typed, setTyped] = useState<string>();
  const unread = typed === undefined ? undefined : sizeProblem(typed);
  return (
    <Row id={id} label={label} title={title} problem={unread ?? problem}>
      <input
        id={id}
        type="text"
        spellCheck={false}
        autoComplete="off"
        className="input figures"
        placeholder={placeholder}
        value={typed ?? (value === undefined ? "" : formatBytes(value))}
        onChange={({ target }) => {
          setTyped(target.value);
          if (target.value.trim() === "") set(undefined);
          else if (sizeProblem(target.value) === undefined) set(parseBytes(target.value));
        }}
        onBlur={() => setTyped(undefined)}
        {...invalid(id, unread ?? problem)}
      />
      {after}
    </Row>
  );
}

function sizeProblem(text: string): string | undefined {
  if (text.trim() === "") return undefined;
  try {
    parseBytes(text);
    return undefined;
  } catch {
    return "write a size as 1.5 GiB or 512 MiB";
  }
}

export interface Option<Value extends string> {
  readonly value: Value;
  readonly label: string;
}

export function SelectRow<Value extends string>(
  props: RowProps & { readonly lens: Lens<Value>; readonly options: readonly Option<Value>[] },
): ReactNode {
  const { value, set, problem } = usePlanField(props.lens);
  return (
    <Row label={props.label} title={props.title} problem={problem}>
      <Select label={props.label} value={value} options={props.options} onValue={set} />
    </Row>
  );
}

/** A list that opens; the label is for assistive technology where the row's own does not name it. */
export function Select<Value extends string>(props: {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly Option<Value>[];
  readonly onValue: (value: Value) => void;
}): ReactNode {
  return (
    <select
      className="input plan-select"
      aria-label={props.label}
      value={props.value}
      onChange={({ target }) => {
        const chosen = props.options.find(({ value }) => value === target.value);
        if (chosen !== undefined) props.onValue(chosen.value);
      }}
    >
      {props.options.map(({ value, label }) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  );
}

export function CheckRow(props: RowProps & { readonly lens: Lens<boolean> }): ReactNode {
  const id = useId();
  const { value, set, problem } = usePlanField(props.lens);
  return (
    <Row id={id} label={props.label} title={props.title} problem={problem}>
      <input
        id={id}
        type="checkbox"
        className="plan-check"
        checked={value}
        onChange={({ target }) => set(target.checked)}
        {...invalid(id, problem)}
      />
    </Row>
  );
}

/** Moves over readable numbers: powers of two and what lies in the middle between them. */
export function StepSlider(props: {
  readonly label: string;
  readonly value: number;
  readonly most: number;
  readonly onValue: (value: number) => void;
}): ReactNode {
  const steps = STEPS.filter((step) => step <= props.most);
  return (
    <input
      type="range"
      className="plan-slider"
      aria-label={`${props.label}, slider`}
      aria-valuetext={String(props.value)}
      min={0}
      max={steps.length - 1}
      step={1}
      value={nearestStep(steps, props.value)}
      onChange={({ target }) => props.onValue(steps[target.valueAsNumber] ?? props.value)}
    />
  );
}

function invalid(id: string, problem: string | undefined) {
  return problem === undefined ? {} : { "aria-invalid": true, "aria-describedby": `${id}-problem` };
}
