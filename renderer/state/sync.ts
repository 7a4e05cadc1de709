/**
 * Keeps the stores in step with the session: on every (re)connection the whole state and the kept history, then the
 * events. Because everything is asked again, a reloaded window and a restarted session both end up right.
 */

import type { SessionEvent } from "../../core/contract/messages.ts";
import type { SessionState } from "../../core/contract/state.ts";
import type { SampleBatch } from "../../core/contract/timeline.ts";
import { assertNever, toErrorData } from "../../core/errors.ts";
import type { Client } from "../door/client.ts";
import { addActions, putGeneration, replaceActivity } from "./activity.ts";
import { inBatches } from "./in-batches.ts";
import { notifyError } from "./notices.ts";
import { addStep, endRun, followRun, replaceEndedRuns, replaceSteps } from "./run.ts";
import { setConnected, setSession, useSession } from "./session.ts";
import { addSamples, replaceSamples, showDevice, useTimeline } from "./timeline.ts";

/** Ten minutes at 100 Hz: what a reload brings back without making the first second heavy. */
const HISTORY_ROWS = 60_000;

/** A run at full speed does a hundred actions a second, and nobody reads more than a few screens of them. */
const ACTIONS_MS = 100;

/** Starts following the session; returns the function that stops. */
export function followSession(client: Client): () => void {
  // Batches that arrive while the history is on its way wait here, or they would be wiped by it.
  let early: SampleBatch[] | undefined;
  const actions = inBatches(ACTIONS_MS, addActions);

  function takeState(state: SessionState): void {
    const before = useSession.getState().session?.run;
    if (before !== undefined && before.id !== state.run?.id) endRun(before);
    setSession(state);
    const { device: shown } = useTimeline.getState();
    if (!state.otherDevices.some(({ device }) => device.name === shown)) showDevice(undefined);
    followRun(state.run?.id);
  }

  function receive(event: SessionEvent): void {
    switch (event.event) {
      case "state":
        takeState(event.state);
        return;
      case "samples":
        if (early === undefined) addSamples(event.batch);
        else early.push(event.batch);
        return;
      case "action":
        actions.add(event.action);
        return;
      case "generation":
        putGeneration(event.generation);
        return;
      case "step":
        addStep(event.run, event.step);
        return;
      default:
        assertNever(event);
    }
  }

  async function catchUp(): Promise<void> {
    const waiting: SampleBatch[] = [];
    early = waiting;
    try {
      // Two questions at once; the state alone is enough to draw everything but the past.
      const history = client.request("history", { sinceSeconds: 0, maxRows: HISTORY_ROWS });
      const state = await client.request("observe", {});
      takeState(state);
      const kept = await history;
      replaceSamples(kept.batches);
      actions.forget();
      replaceActivity(kept.actions, kept.generations);
      replaceSteps(state.run?.id, kept.steps);
      replaceEndedRuns(kept.endedRuns);
    } catch (error) {
      notifyError("Could not read the session", toErrorData(error));
    } finally {
      // A later connection has its own list.
      if (early === waiting) early = undefined;
      for (const batch of waiting) addSamples(batch);
    }
  }

  const stopEvents = client.subscribe(receive, (problem) => notifyError("A message was not understood", problem.data));
  const stopConnection = client.door.onConnection((connected) => {
    setConnected(connected);
    if (connected) void catchUp();
  });
  return () => {
    actions.forget();
    stopEvents();
    stopConnection();
  };
}
