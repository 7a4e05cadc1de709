/** The strategies, each with its number in the discussion they come from, what it does, and its switch. */
import { type ReactNode, useId } from "react";
import { allStrategies } from "../../../../../core/schedule/build.ts";
import type { Roles } from "../../../../../core/schedule/schedule.ts";
import { NO_STRATEGIES, type StrategySet } from "../../../../../core/schedule/strategies.ts";
import { Button } from "../../../../components/button.tsx";
import { Segmented } from "../../../../components/field.tsx";
import { METHODS, PLACES } from "../../../../components/strategy-choices.ts";
import { Switch } from "../../../../components/switch.tsx";
import "./strategy-form.css";

interface StrategyFormProps {
  readonly strategies: StrategySet;
  readonly roles: Roles;
  readonly onStrategies: (strategies: StrategySet) => void;
}

export function StrategyForm({ strategies, roles, onStrategies }: StrategyFormProps): ReactNode {
  const edit = (change: Partial<StrategySet>) => onStrategies({ ...strategies, ...change });
  const hasRewardModel = roles.reward !== "rule";
  // Where both have one precision bits are handed over as they are; elsewhere a cast is needed.
  const single = roles.engine === roles.policy ? "as_is" : "cast";
  return (
    <section className="strategies" aria-labelledby="strategies-title">
      <header className="strategies-head">
        <h3 id="strategies-title">Strategies</h3>
        <Button onClick={() => onStrategies(NO_STRATEGIES)}>None</Button>
        <Button
          title="Everything that saves memory and changes no bit of what is learned"
          onClick={() => onStrategies(allStrategies(roles))}
        >
          All
        </Button>
      </header>
      <ul className="strategy-rows">
        <OnOff
          id="S1"
          name="Release the KV cache"
          explanation="The engine has none from the end of one rollout to the next."
          checked={strategies.releaseKvCache}
          onChecked={(releaseKvCache) => edit({ releaseKvCache })}
        />
        <OnOff
          id="S2"
          name="Release the engine's weights"
          explanation="From the rollout until the update writes them anew."
          checked={strategies.releaseEngineWeights}
          onChecked={(releaseEngineWeights) => edit({ releaseEngineWeights })}
        />
        <Row
          id="S3"
          name="Update of the engine"
          explanation="Through a buffer as a broadcast does, in one copy, or by reading the policy's bytes."
        >
          <Segmented
            legend="Update of the engine"
            value={strategies.swap.method}
            choices={METHODS}
            onValue={(method) => edit({ swap: method === "bucketed" ? NO_STRATEGIES.swap : { method } })}
          />
        </Row>
        <Row id="S4" name="Reference" explanation="Where it waits while no phase needs it.">
          <Segmented
            legend="Reference"
            value={strategies.reference}
            choices={PLACES}
            onValue={(reference) => edit({ reference })}
          />
        </Row>
        {hasRewardModel && (
          <Row id="S4" name="Reward model" explanation="Where it waits while no phase needs it.">
            <Segmented
              legend="Reward model"
              value={strategies.reward}
              choices={PLACES}
              onValue={(reward) => edit({ reward })}
            />
          </Row>
        )}
        <OnOff
          id="S5"
          name="Training memory only while training"
          explanation="Activations, logits and gradients are taken for the phases that use them."
          checked={strategies.trainingMemoryOnlyWhileTraining}
          onChecked={(trainingMemoryOnlyWhileTraining) => edit({ trainingMemoryOnlyWhileTraining })}
        />
        <OnOff
          id="S5"
          name="Optimizer on the host"
          explanation="Adam's states come to the device for their update only."
          checked={strategies.optimizerOnHost}
          onChecked={(optimizerOnHost) => edit({ optimizerOnHost })}
        />
        {strategies.optimizerOnHost && (
          <OnOff
            id="S5"
            name="Optimizer streamed"
            explanation="Adam's states stay on the host: an update passes them through the device piece by piece."
            checked={strategies.optimizerStreamed}
            onChecked={(optimizerStreamed) => edit({ optimizerStreamed })}
          />
        )}
        <OnOff
          id="S6"
          name="One copy of the policy"
          explanation={
            single === "as_is"
              ? "The engine's weights in the rollout, the policy's outside of it, never both."
              : `The same, cast from ${roles.policy} to ${roles.engine} and back: the lowest bits are lost.`
          }
          checked={strategies.singlePolicyCopy !== "off"}
          onChecked={(on) => edit({ singlePolicyCopy: on ? single : "off" })}
        />
        <OnOff
          id="S7"
          name="Reference as int8"
          explanation="Half the bytes of bf16; its log-probs change a little, and so does what is learned."
          checked={strategies.int8.reference}
          onChecked={(reference) => edit({ int8: { ...strategies.int8, reference } })}
        />
        {hasRewardModel && (
          <OnOff
            id="S7"
            name="Reward model as int8"
            explanation="Half the bytes of bf16; its rewards change a little, and so does what is learned."
            checked={strategies.int8.reward}
            onChecked={(reward) => edit({ int8: { ...strategies.int8, reward } })}
          />
        )}
      </ul>
    </section>
  );
}

interface RowProps {
  readonly id: string;
  readonly name: string;
  readonly explanation: string;
}

function Row(props: RowProps & { readonly explanationId?: string; readonly children: ReactNode }): ReactNode {
  return (
    <li className="strategy-row">
      <span className="strategy-id figures">{props.id}</span>
      <div className="strategy-words">
        <p>{props.name}</p>
        <p className="strategy-more" id={props.explanationId}>
          {props.explanation}
        </p>
      </div>
      {props.children}
    </li>
  );
}

function OnOff(
  props: RowProps & { readonly checked: boolean; readonly onChecked: (checked: boolean) => void },
): ReactNode {
  const explanationId = useId();
  return (
    <Row {...props} explanationId={explanationId}>
      <Switch label={props.name} describedBy={explanationId} checked={props.checked} onChecked={props.onChecked} />
    </Row>
  );
}
