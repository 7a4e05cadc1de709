/** The other way round: with this schedule, how large a batch, a response or a KV cache could be. */
import { type ReactNode, useEffect, useState } from "react";
import type { Plan } from "../../../../core/planner/plan.ts";
import type { Prediction } from "../../../../core/planner/predict/prediction.ts";
import { type Largest, largestThatFits, SIZES, type Size } from "../../../../core/planner/search/largest.ts";
import { formatBytes, formatSeconds } from "../../../../core/units.ts";
import { Button } from "../../../components/button.tsx";
import { choosePlan } from "../../../state/plan.ts";

const WORDS: Readonly<Record<Size, { readonly name: string; readonly words: (value: number) => string }>> = {
  batch: { name: "Batch", words: (value) => `${value.toLocaleString("en")} rollouts` },
  microBatch: { name: "Micro-batch", words: (value) => `${value.toLocaleString("en")} sequences` },
  responseTokens: { name: "Response", words: (value) => `${value.toLocaleString("en")} tokens` },
  kvCacheBytes: { name: "KV cache per GPU", words: formatBytes },
};

export function Room({ prediction }: { readonly prediction: Prediction }): ReactNode {
  const answers = useLargest(prediction.plan);
  return (
    <div className="plan-detail-scroll">
      <p className="plan-detail-lead">
        Each alone, with the strategies as they are and {formatBytes(prediction.marginBytes)} left free
      </p>
      <table className="plan-table plan-room figures">
        <thead>
          <tr>
            <th scope="col">Size</th>
            <th scope="col">Now</th>
            <th scope="col">Largest that fits</th>
            <th scope="col">A step then</th>
            <th scope="col" />
          </tr>
        </thead>
        <tbody>
          {SIZES.map((size) => (
            <RoomRow key={size} size={size} now={nowOf(prediction, size)} largest={answers.get(size)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RoomRow(props: {
  readonly size: Size;
  readonly now: number;
  readonly largest: Largest | undefined;
}): ReactNode {
  const { size, now, largest } = props;
  const { name, words } = WORDS[size];
  const then = largest?.prediction;
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{words(now)}</td>
      <td>
        {largest === undefined ? (
          <span className="plan-soft">…</span>
        ) : then === undefined ? (
          <span className="plan-soft">none: something else is too large</span>
        ) : (
          <b>{words(largest.value)}</b>
        )}
      </td>
      <td>{then && formatSeconds(then.workSeconds + then.memorySeconds)}</td>
      <td>
        {then && largest.value !== now && (
          <Button
            kind="quiet"
            aria-label={`${name}: use ${words(largest.value)}`}
            onClick={() => choosePlan(then.plan)}
          >
            Use it
          </Button>
        )}
      </td>
    </tr>
  );
}

function nowOf({ plan: { workload }, engine }: Prediction, size: Size): number {
  return size === "kvCacheBytes" ? (workload.engine.kvCacheBytes ?? engine.kvCacheBytes) : workload[size];
}

/** Each answer takes some dozens of predictions: they are found when the plan has come to rest, one after the other. */
const REST_MS = 200;

function useLargest(plan: Plan): ReadonlyMap<Size, Largest> {
  const [found, setFound] = useState<{ readonly plan: Plan; readonly answers: ReadonlyMap<Size, Largest> }>();
  useEffect(() => {
    const left = [...SIZES];
    const answers = new Map<Size, Largest>();
    let timer = setTimeout(next, REST_MS);
    function next(): void {
      const size = left.shift();
      if (size === undefined) return;
      answers.set(size, largestThatFits(plan, size));
      setFound({ plan, answers: new Map(answers) });
      timer = setTimeout(next, 0);
    }
    return () => clearTimeout(timer);
  }, [plan]);
  return found?.plan === plan ? found.answers : NOTHING;
}

const NOTHING: ReadonlyMap<Size, Largest> = new Map();
