/** A prediction as a timeline, so that the component that draws measured ones draws it too, and one lies over the other. */
import { type ActionRecord, CONSUMER_COLUMNS, HEADER_COLUMNS, rowColumns } from "../../contract/timeline.ts";
import { type Action, describeAction, targetOf } from "../../schedule/schedule.ts";
import { SCHEDULED_CONSUMERS } from "../../schedule/works.ts";
import { TimelineStore } from "../../timeline/store.ts";
import type { Phase, Timeline } from "../../timeline/timeline.ts";
import type { ConsumerBytes, PredictedMoment, Prediction } from "./prediction.ts";

/** One PPO step of the fullest kind of GPU, beginning at `startSeconds`. */
export function timelineOf(prediction: Prediction, startSeconds = 0): Timeline {
  const { moments, start, capacityBytes } = prediction;
  const rows: { readonly timeSeconds: number; readonly bytes: ConsumerBytes }[] = [];
  const phases: Phase[] = [];
  const actions: ActionRecord[] = [];
  let timeSeconds = startSeconds;
  rows.push({ timeSeconds, bytes: start });
  for (const [index, moment] of moments.entries()) {
    const { item, seconds, during, after } = moment;
    const beganSeconds = timeSeconds;
    // What a work or a swap needs is there while it is done; what an action changes is changed once it is over.
    if (item.kind === "work" || isTransient(moment)) rows.push({ timeSeconds, bytes: during });
    timeSeconds += seconds;
    rows.push({ timeSeconds, bytes: after });
    if (item.kind === "action") actions.push(actionRecord(item.action, { id: index, timeSeconds, seconds }));
    const open = phases.at(-1);
    if (open?.name === item.work) phases[phases.length - 1] = { ...open, endSeconds: timeSeconds };
    else phases.push({ name: item.work, startSeconds: beganSeconds, endSeconds: timeSeconds, step: 0 });
  }
  const samples = new TimelineStore({ limitRows: rows.length, gapSeconds: Number.POSITIVE_INFINITY });
  samples.append({
    consumers: SCHEDULED_CONSUMERS,
    rows: rows.length,
    samples: numbers(rows, capacityBytes),
    dropped: 0,
  });
  return { samples, actions, phases };
}

function isTransient({ during, after }: PredictedMoment): boolean {
  return during.workspace !== after.workspace;
}

function actionRecord(
  action: Action,
  { id, timeSeconds, seconds }: { readonly id: number; readonly timeSeconds: number; readonly seconds: number },
): ActionRecord {
  return {
    id,
    timeSeconds,
    // An offload is a release that keeps a backup.
    kind: action.kind === "offload" ? "release" : action.kind,
    consumer: targetOf(action),
    label: describeAction(action),
    milliseconds: seconds * 1000,
  };
}

/** As the sampler writes them: nothing is used that no consumer accounts for. */
function numbers(
  rows: readonly { readonly timeSeconds: number; readonly bytes: ConsumerBytes }[],
  capacityBytes: number,
): Float64Array {
  const columns = rowColumns({ consumers: SCHEDULED_CONSUMERS });
  const result = new Float64Array(rows.length * columns);
  for (const [row, { timeSeconds, bytes }] of rows.entries()) {
    const at = row * columns;
    const usedBytes = Object.values(bytes).reduce((sum, held) => sum + held, 0);
    result.set([timeSeconds, usedBytes, capacityBytes, bytes.context ?? 0, 0, bytes.pool ?? 0], at);
    for (const [position, consumer] of SCHEDULED_CONSUMERS.entries()) {
      const held = bytes[consumer] ?? 0;
      result.set([held, held, held], at + HEADER_COLUMNS + CONSUMER_COLUMNS * position);
    }
  }
  return result;
}
