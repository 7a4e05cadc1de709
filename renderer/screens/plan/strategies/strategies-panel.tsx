/** The strategies as switches, each with what switching it would do to the peak and to the seconds of a step. */
import { memo, type ReactNode, useDeferredValue, useId, useMemo } from "react";
import type { Plan } from "../../../../core/planner/plan.ts";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { NO_STRATEGIES, type StrategySet } from "../../../../core/schedule/strategies.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { Segmented } from "../../../components/field.tsx";
import { METHODS, PLACES } from "../../../components/strategy-choices.ts";
import { Switch } from "../../../components/switch.tsx";
import { editPlan, usePlan, useRestedPlan } from "../../../state/plan.ts";
import { predictionOf, useProblem } from "../evaluation.ts";
import { type Effect, effectOf, isOn } from "./effects.ts";
import "./strategies-panel.css";

export const StrategiesPanel = memo(function StrategiesPanel(): ReactNode {
  const strategies = usePlan(({ plan }) => plan.strategies);
  const hasReward = usePlan(({ plan }) => plan.workload.reward !== "rule");
  const single = usePlan(({ plan: { workload } }) =>
    workload.engine.precision === workload.policy.precision ? "as_is" : "cast",
  );
  return (
    <section className="panel plan-strategies" aria-label="Strategies">
      <header className="panel-header">
        <h2 className="panel-title">Strategies</h2>
        <span className="plan-strategies-legend">peak · seconds a step</span>
      </header>
      <ul className="plan-strategy-list">
        <OnOff id="S1" name="Release the KV cache" about="none from one rollout to the next" field="releaseKvCache" />
        <OnOff
          id="S2"
          name="Release the engine's weights"
          about="from the rollout until the update writes them anew"
          field="releaseEngineWeights"
        />
        <Choices
          id="S3"
          name="Update of the engine"
          about="through a buffer, in one copy, or by reading the policy's bytes"
          field="swap"
          value={strategies.swap.method}
          choices={METHODS}
          change={(method) => ({ swap: method === "bucketed" ? NO_STRATEGIES.swap : { method } })}
        />
        <Choices
          id="S4"
          name="Reference"
          about="where it waits while no phase needs it"
          field="reference"
          value={strategies.reference}
          choices={PLACES}
          change={(reference) => ({ reference })}
        />
        {hasReward && (
          <Choices
            id="S4"
            name="Reward model"
            about="where it waits while no phase needs it"
            field="reward"
            value={strategies.reward}
            choices={PLACES}
            change={(reward) => ({ reward })}
          />
        )}
        <OnOff
          id="S5"
          name="Training memory only while training"
          about="activations, logits and gradients"
          field="trainingMemoryOnlyWhileTraining"
        />
        <OnOff id="S5" name="Optimizer on the host" about="except during its update" field="optimizerOnHost" />
        {strategies.optimizerOnHost && (
          <OnOff id="S5" name="Optimizer streamed" about="also during its update" field="optimizerStreamed" />
        )}
        <Toggle
          id="S6"
          name="One copy of the policy"
          about={
            single === "as_is" ? "the engine's or the policy's, never both" : "cast both ways: the lowest bits are lost"
          }
          field="singlePolicyCopy"
          checked={strategies.singlePolicyCopy !== "off"}
          change={(on) => ({ singlePolicyCopy: on ? single : "off" })}
        />
        {(["reference", "reward"] as const)
          .filter((role) => role === "reference" || hasReward)
          .map((role) => (
            <Toggle
              key={role}
              id="S7"
              name={role === "reference" ? "Reference as int8" : "Reward model as int8"}
              about="its answers change a little"
              field={`int8.${role}`}
              checked={strategies.int8[role]}
              change={(on) => ({ int8: { ...strategies.int8, [role]: on } })}
            />
          ))}
      </ul>
    </section>
  );
});

interface RowProps {
  readonly id: string;
  readonly name: string;
  readonly about: string;
  /** Below `strategies`. */
  readonly field: string;
}

function OnOff(
  props: RowProps & {
    readonly field:
      | "releaseKvCache"
      | "releaseEngineWeights"
      | "trainingMemoryOnlyWhileTraining"
      | "optimizerOnHost"
      | "optimizerStreamed";
  },
): ReactNode {
  const checked = usePlan(({ plan }) => isOn(plan.strategies, props.field));
  return <Toggle {...props} checked={checked} change={(on) => ({ [props.field]: on })} />;
}

function Toggle(
  props: RowProps & {
    readonly checked: boolean;
    readonly change: (on: boolean) => Partial<StrategySet>;
  },
): ReactNode {
  const { name, field, checked, change } = props;
  const aboutId = useId();
  const effect = useEffectOf(change(!checked));
  return (
    <Row {...props} aboutId={aboutId} control="switch" words={<EffectWords effect={effect} isOn={checked} />}>
      <Switch
        label={name}
        describedBy={aboutId}
        checked={checked}
        disabled={!checked && effect?.ok === false}
        onChecked={(on) => setStrategies(field, change(on))}
      />
    </Row>
  );
}

function Choices<Value extends string>(
  props: RowProps & {
    readonly value: Value;
    readonly choices: readonly { readonly value: Value; readonly label: string }[];
    readonly change: (value: Value) => Partial<StrategySet>;
  },
): ReactNode {
  const { name, field, value, choices, change } = props;
  const aboutId = useId();
  const [off] = choices;
  const others = choices.filter((choice) => choice.value !== value);
  const effects = useEffectsOf(others.map((choice) => change(choice.value)));
  const effectAt = (choice: Value) => effects?.[others.findIndex((other) => other.value === choice)];
  // On, it is compared with off; off, with the choice that saves most.
  const lowest = others.toSorted((one, other) => peakOf(effectAt(one.value)) - peakOf(effectAt(other.value)))[0];
  const against = value === off?.value ? lowest : off;
  const effect = against && effectAt(against.value);
  return (
    <Row
      {...props}
      aboutId={aboutId}
      control="choices"
      words={
        <EffectWords
          effect={effect}
          isOn={value !== off?.value}
          choice={value === off?.value ? against?.label : undefined}
        />
      }
    >
      <Segmented
        legend={name}
        value={value}
        choices={choices.map((choice) => ({ ...choice, disabled: effectAt(choice.value)?.ok === false }))}
        onValue={(chosen) => setStrategies(field, change(chosen))}
      />
    </Row>
  );
}

function peakOf(effect: Effect | undefined): number {
  return effect?.ok ? effect.peakBytes : Number.POSITIVE_INFINITY;
}

function Row(
  props: RowProps & {
    readonly aboutId: string;
    readonly control: "switch" | "choices";
    readonly words: ReactNode;
    readonly children: ReactNode;
  },
): ReactNode {
  const { id, name, about, field, aboutId, control, words, children } = props;
  const problem = useProblem(`strategies.${field}`);
  return (
    <li className="plan-strategy" data-control={control}>
      <span className="plan-strategy-id figures">{id}</span>
      <div className="plan-strategy-words">
        <p className="plan-strategy-name" title={about}>
          {name}
        </p>
        <p id={aboutId} className="plan-strategy-effect figures">
          <span className="visually-hidden">{about}; </span>
          {words}
        </p>
        {problem && (
          <p className="plan-row-problem" role="alert">
            {problem.message}
          </p>
        )}
      </div>
      <div className="plan-strategy-control">{children}</div>
    </li>
  );
}

/** What it does where it is on; what it would do where it is off. */
function EffectWords(props: {
  readonly effect: Effect | undefined;
  readonly isOn: boolean;
  /** Of several, the one that is spoken of. */
  readonly choice?: string | undefined;
}): ReactNode {
  const { effect, isOn, choice } = props;
  if (effect === undefined) return "–";
  if (!effect.ok) return <span className="plan-refused">{effect.problem}</span>;
  // Switching it off is the other way round.
  const [bytes, seconds] = isOn ? [-effect.peakBytes, -effect.seconds] : [effect.peakBytes, effect.seconds];
  const says = (saves: string, costs: string, amount: number) =>
    isOn ? `${amount < 0 ? saves : costs}s` : `would ${amount < 0 ? saves : costs}`;
  return (
    <>
      {choice !== undefined && `${choice}: `}
      {bytes === 0 ? (
        "same peak"
      ) : (
        <>
          {says("save", "take", bytes)}{" "}
          <b data-sign={bytes < 0 ? "less" : "more"}>{unbroken(formatBytes(Math.abs(bytes)))}</b>
        </>
      )}
      {seconds !== 0 &&
        `, ${bytes === 0 || isOn ? says("save", "cost", seconds) : seconds < 0 ? "save" : "cost"} ${unbroken(formatSeconds(Math.abs(seconds)))}`}
    </>
  );
}

/** A figure stays on one line with its unit. */
function unbroken(figure: string): string {
  return figure.replaceAll(" ", "\u00a0");
}

function setStrategies(field: string, change: Partial<StrategySet>): void {
  editPlan(`strategies.${field} ${JSON.stringify(change)}`, (plan: Plan) => ({
    ...plan,
    strategies: { ...plan.strategies, ...change },
  }));
}

function useEffectOf(change: Partial<StrategySet>): Effect | undefined {
  return useEffectsOf([change])?.[0];
}

/** Of the plan at rest, and after what was changed has been drawn; undefined while fields are wrong. */
function useEffectsOf(changes: readonly Partial<StrategySet>[]): readonly Effect[] | undefined {
  const plan = useDeferredValue(useRestedPlan());
  const key = JSON.stringify(changes);
  return useMemo(() => {
    const prediction: Prediction | undefined = predictionOf(plan);
    const asked: readonly Partial<StrategySet>[] = JSON.parse(key);
    return prediction && asked.map((change) => effectOf(prediction, change));
  }, [plan, key]);
}
