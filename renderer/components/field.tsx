/** Labelled inputs: text, numbers, and a choice of a few drawn as one control. */
import { type ComponentProps, type ReactNode, useId } from "react";
import "./field.css";

interface FieldProps {
  readonly label: string;
  /** Beside or below the input: what it means, in a few words. */
  readonly hint?: ReactNode;
  readonly problem?: string | undefined;
}

export function TextField({ label, hint, problem, ...input }: FieldProps & ComponentProps<"input">): ReactNode {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="text"
        spellCheck={false}
        autoComplete="off"
        {...input}
        className={`input ${input.className ?? ""}`}
        aria-invalid={problem !== undefined || undefined}
        aria-describedby={`${id}-about`}
      />
      <FieldAbout id={`${id}-about`} hint={hint} problem={problem} />
    </div>
  );
}

interface NumberFieldProps extends FieldProps {
  readonly value: number;
  readonly min?: number;
  readonly max?: number;
  readonly step?: number;
  readonly onValue: (value: number) => void;
}

/** A number; what is being typed may be outside of its range, whoever uses the value checks it. */
export function NumberField({ label, hint, problem, value, onValue, ...range }: NumberFieldProps): ReactNode {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        id={id}
        type="number"
        className="input figures"
        value={Number.isNaN(value) ? "" : value}
        onChange={(event) => onValue(event.target.valueAsNumber)}
        aria-invalid={problem !== undefined || undefined}
        aria-describedby={`${id}-about`}
        {...range}
      />
      <FieldAbout id={`${id}-about`} hint={hint} problem={problem} />
    </div>
  );
}

/** One of a list that opens. */
export function SelectField(
  props: FieldProps & {
    readonly value: string;
    readonly choices: readonly { readonly value: string; readonly label: string; readonly title?: string }[];
    readonly onValue: (value: string) => void;
  },
): ReactNode {
  const { label, hint, problem, value, choices, onValue } = props;
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select
        id={id}
        className="input"
        value={value}
        onChange={({ target }) => onValue(target.value)}
        aria-describedby={`${id}-about`}
      >
        {choices.map((choice) => (
          <option key={choice.value} value={choice.value} title={choice.title}>
            {choice.label}
          </option>
        ))}
      </select>
      <FieldAbout id={`${id}-about`} hint={hint} problem={problem} />
    </div>
  );
}

/** Something that is on or off, in one line. */
export function CheckField(props: {
  readonly label: string;
  /** What turning it on means, shown by the pointer and read out. */
  readonly title: string;
  readonly checked: boolean;
  readonly onChecked: (checked: boolean) => void;
}): ReactNode {
  return (
    <label className="check-field" title={props.title}>
      <input type="checkbox" checked={props.checked} onChange={({ target }) => props.onChecked(target.checked)} />
      <span>{props.label}</span>
    </label>
  );
}

function FieldAbout(props: {
  readonly id: string;
  readonly hint?: ReactNode;
  readonly problem?: string | undefined;
}): ReactNode {
  if (props.problem === undefined && props.hint === undefined) return undefined;
  return (
    <p id={props.id} className={props.problem === undefined ? "field-hint" : "field-problem"}>
      {props.problem ?? props.hint}
    </p>
  );
}

export interface Choice<Value extends string> {
  readonly value: Value;
  readonly label: string;
  /** What choosing it means. */
  readonly more?: string;
  readonly disabled?: boolean;
}

interface ChoiceProps<Value extends string> {
  readonly legend: string;
  readonly value: Value;
  readonly choices: readonly Choice<Value>[];
  readonly onValue: (value: Value) => void;
}

/** A few short choices side by side; arrow keys move, as in every radio group. */
export function Segmented<Value extends string>(props: ChoiceProps<Value>): ReactNode {
  return <Radios {...props} className="segmented" />;
}

/** Choices that need a sentence each, one below the other or in columns. */
export function ChoiceList<Value extends string>(props: ChoiceProps<Value> & { readonly columns?: 2 | 3 }): ReactNode {
  return <Radios {...props} className="choice-list" />;
}

function Radios<Value extends string>(
  props: ChoiceProps<Value> & { readonly className: string; readonly columns?: 2 | 3 },
): ReactNode {
  const name = useId();
  return (
    <fieldset className={props.className} data-columns={props.columns}>
      <legend>{props.legend}</legend>
      <div className={`${props.className}-options`}>
        {props.choices.map((choice) => (
          <label key={choice.value}>
            <input
              type="radio"
              name={name}
              value={choice.value}
              checked={choice.value === props.value}
              disabled={choice.disabled}
              onChange={() => props.onValue(choice.value)}
            />
            <span className={`${props.className}-label`}>
              <span>{choice.label}</span>
              {choice.more && <span className="choice-more">{choice.more}</span>}
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}
