/** What was done to memory and what was generated, as the session recorded it; newest last in both lists. */
import { create } from "zustand";
import type { ActionRecord, GenerationState } from "../../core/contract/timeline.ts";
import { type Action, describeAction } from "../../core/schedule/schedule.ts";

/** A long session keeps its newest records; the recording, not this list, is the archive. */
const MOST_ACTIONS = 2000;
const MOST_GENERATIONS = 200;

interface ActivityStore {
  readonly actions: readonly ActionRecord[];
  readonly generations: readonly GenerationState[];
  /** The generation on screen; undefined follows the newest. */
  readonly selectedGeneration: number | undefined;
}

export const useActivity = create<ActivityStore>(() => ({
  actions: [],
  generations: [],
  selectedGeneration: undefined,
}));

/** What the session kept, after a connection: replaces everything, so a restarted session leaves nothing stale. */
export function replaceActivity(actions: readonly ActionRecord[], generations: readonly GenerationState[]): void {
  useActivity.setState({
    actions: actions.slice(-MOST_ACTIONS),
    generations: generations.slice(-MOST_GENERATIONS),
    selectedGeneration: undefined,
  });
}

export function addActions(added: readonly ActionRecord[]): void {
  useActivity.setState((before) => ({ actions: added.reduce(upsert, before.actions).slice(-MOST_ACTIONS) }));
}

export function putGeneration(generation: GenerationState): void {
  useActivity.setState((before) => ({ generations: upsert(before.generations, generation).slice(-MOST_GENERATIONS) }));
}

export function selectGeneration(id: number | undefined): void {
  useActivity.setState({ selectedGeneration: id });
}

/** The newest action on a consumer: its receipt is shown beside the row. */
export function lastActionOf(actions: readonly ActionRecord[], consumer: string): ActionRecord | undefined {
  return actions.findLast((action) => action.consumer === consumer);
}

/** How long an action of a schedule took when it was last done, in seconds; undefined: it never was. */
export function lastSecondsOf(action: Action): number | undefined {
  const label = describeAction(action);
  const { actions } = useActivity.getState();
  const last = actions.findLast((record) => record.label === label && record.receipt !== undefined);
  return last?.receipt && last.receipt.milliseconds / 1000;
}

/** The generation on screen: the selected one, else the newest. */
export function shownGeneration(
  generations: readonly GenerationState[],
  selected: number | undefined,
): GenerationState | undefined {
  return generations.find((generation) => generation.id === selected) ?? generations.at(-1);
}

/** Generations that have not finished, newest last. */
export function runningGenerations(generations: readonly GenerationState[]): readonly GenerationState[] {
  return generations.filter((generation) => generation.finishedSeconds === undefined);
}

/** The newest are the ones that change. */
function upsert<T extends { readonly id: number }>(list: readonly T[], item: T): readonly T[] {
  const index = list.findLastIndex((known) => known.id === item.id);
  return index < 0 ? [...list, item] : list.with(index, item);
}
