import { beforeEach, describe, expect, it } from "vitest";
import type { SampleBatch } from "../../../core/contract/timeline.ts";
import { createClient } from "../../../renderer/door/client.ts";
import { replaceActivity, useActivity } from "../../../renderer/state/activity.ts";
import { useNotices } from "../../../renderer/state/notices.ts";
import { followRun, useRun } from "../../../renderer/state/run.ts";
import { useSession } from "../../../renderer/state/session.ts";
import { followSession } from "../../../renderer/state/sync.ts";
import { replaceSamples, rowsAfter, showDevice, useTimeline } from "../../../renderer/state/timeline.ts";
import { eventually } from "../../eventually.ts";
import { fakeDoor, sessionState } from "./fake-door.ts";
import { runState, stepRecord } from "./fake-run.ts";

function batch(...times: number[]): SampleBatch {
  return {
    consumers: ["engine.weights"],
    rows: times.length,
    samples: times.flatMap((time) => [time, 10, 100, 0, 0, 0, 8, 8, 8]),
    dropped: 0,
  };
}

const action = { id: 1, timeSeconds: 3, kind: "release", label: "release engine.weights", milliseconds: 2 } as const;

describe("following the session", () => {
  beforeEach(() => {
    useSession.setState({ connection: "connecting", session: undefined });
    useNotices.setState({ notices: [] });
    replaceActivity([], []);
    replaceSamples([]);
    followRun(undefined);
  });

  it("asks for the state and the history when it connects", async () => {
    const door = fakeDoor();
    door.answer("observe", sessionState());
    door.answer("history", { batches: [batch(1, 2)], actions: [action], generations: [], steps: [], endedRuns: [] });
    const stop = followSession(createClient(door));
    door.setConnected(true);
    await eventually(() => expect(useTimeline.getState().store.rows).toBe(2));
    expect(useSession.getState()).toEqual({ connection: "connected", session: sessionState() });
    expect(useActivity.getState().actions).toEqual([action]);
    stop();
  });

  it("keeps samples that arrive while the history is on its way, each row once", async () => {
    const door = fakeDoor();
    door.answer("observe", sessionState());
    const history = door.hold("history");
    const stop = followSession(createClient(door));
    door.setConnected(true);
    door.emit({ event: "samples", batch: batch(2, 3) });
    history.release({ batches: [batch(1, 2)], actions: [], generations: [], steps: [], endedRuns: [] });
    await eventually(() => expect(useTimeline.getState().store.rows).toBe(3));
    door.emit({ event: "samples", batch: batch(4) });
    const { store } = useTimeline.getState();
    expect([0, 1, 2, 3].map((row) => store.timeAt(row))).toEqual([1, 2, 3, 4]);
    stop();
  });

  it("keeps each device's samples apart, shows one of them, and the engine's when that one is gone", async () => {
    const other = { ...sessionState().device, name: "cuda:1" };
    const onTwo = sessionState({ otherDevices: [{ device: other, consumers: [] }] });
    const door = fakeDoor();
    door.answer("observe", onTwo);
    const batches = [batch(1, 2), { ...batch(1), device: "cuda:1" }];
    door.answer("history", { batches, actions: [], generations: [], steps: [], endedRuns: [] });
    const stop = followSession(createClient(door));
    door.setConnected(true);
    await eventually(() => expect(useTimeline.getState().store.rows).toBe(2));
    showDevice("cuda:1");
    expect(useTimeline.getState().store.rows).toBe(1);
    // The same moment of the other device is no row twice.
    door.emit({ event: "samples", batch: { ...batch(2), device: "cuda:1" } });
    door.emit({ event: "samples", batch: batch(3, 4) });
    expect(useTimeline.getState().store.rows).toBe(2);
    door.emit({ event: "state", state: sessionState() });
    expect(useTimeline.getState()).toMatchObject({ device: undefined });
    expect(useTimeline.getState().store.rows).toBe(4);
    stop();
  });

  it("starts over after a reconnection, so a restarted session leaves nothing stale", async () => {
    const door = fakeDoor();
    door.answer("observe", sessionState());
    door.answer("history", {
      batches: [batch(100, 101)],
      actions: [action],
      generations: [],
      steps: [],
      endedRuns: [],
    });
    const stop = followSession(createClient(door));
    door.setConnected(true);
    await eventually(() => expect(useTimeline.getState().store.rows).toBe(2));
    door.setConnected(false);
    expect(useSession.getState()).toEqual({ connection: "lost", session: sessionState() });
    door.answer("history", { batches: [batch(5)], actions: [], generations: [], steps: [], endedRuns: [] });
    door.setConnected(true);
    await eventually(() => expect(useTimeline.getState().store.rows).toBe(1));
    expect(useActivity.getState().actions).toEqual([]);
    stop();
  });

  it("has the steps of the run that is open after a reload, each once, and none of another run", async () => {
    const door = fakeDoor();
    door.answer("observe", sessionState({ run: runState() }));
    const history = door.hold("history");
    const stop = followSession(createClient(door));
    door.setConnected(true);
    await eventually(() => expect(useRun.getState().run).toBe(1));
    door.emit({ event: "step", run: 1, step: stepRecord(2) });
    history.release({
      batches: [],
      actions: [],
      generations: [],
      steps: [stepRecord(0), stepRecord(1), stepRecord(2)],
      endedRuns: [],
    });
    const shown = () => useRun.getState().steps.map(({ step }) => step);
    await eventually(() => expect(shown()).toEqual([0, 1, 2]));
    door.emit({ event: "step", run: 1, step: stepRecord(3) });
    expect(shown()).toEqual([0, 1, 2, 3]);
    door.emit({ event: "state", state: sessionState({ run: runState(undefined, { id: 2 }) }) });
    expect(shown()).toEqual([]);
    door.emit({ event: "state", state: sessionState() });
    expect(useRun.getState().run).toBeUndefined();
    stop();
  });

  it("keeps the phases of runs that ended, as the session does", async () => {
    const span = (step: number, startSeconds: number) =>
      ({ step, work: "rollout", startSeconds, endSeconds: startSeconds + 1 }) as const;
    const phase = (step: number, startSeconds: number) => ({
      ...span(step, startSeconds),
      workSeconds: 1,
      memorySeconds: 0,
      peakBytes: 1,
      holders: {},
    });
    const door = fakeDoor();
    door.answer("observe", sessionState());
    door.answer("history", { batches: [], actions: [], generations: [], steps: [], endedRuns: [[span(0, 1)]] });
    const stop = followSession(createClient(door));
    door.setConnected(true);
    const ended = () => useRun.getState().endedRuns;
    await eventually(() => expect(ended()).toEqual([[span(0, 1)]]));

    door.emit({ event: "state", state: sessionState({ run: runState(undefined, { id: 2, phases: [] }) }) });
    door.emit({ event: "step", run: 2, step: { ...stepRecord(0), phases: [phase(0, 10)] } });
    const half = runState(undefined, { id: 2, phases: [phase(1, 11)] });
    door.emit({ event: "state", state: sessionState({ run: half }) });
    expect(ended()).toHaveLength(1);
    door.emit({ event: "state", state: sessionState() });
    expect(ended()).toEqual([[span(0, 1)], [span(0, 10), span(1, 11)]]);
    stop();
  });

  it("shows a failure to read the session", async () => {
    const door = fakeDoor();
    door.refuse("observe", { code: "device_lost", message: "the device is gone" });
    door.answer("history", { batches: [], actions: [], generations: [], steps: [], endedRuns: [] });
    const stop = followSession(createClient(door));
    door.setConnected(true);
    await eventually(() => expect(useNotices.getState().notices[0]?.error?.code).toBe("device_lost"));
    stop();
  });
});

describe("rows after a time", () => {
  it("keeps only the newer rows and the count of lost samples", () => {
    const fresh = rowsAfter({ ...batch(1, 2, 3), dropped: 4 }, 2);
    expect(fresh).toEqual({ ...batch(3), dropped: 4 });
    expect(rowsAfter(batch(1, 2), undefined)).toEqual(batch(1, 2));
    expect(rowsAfter(batch(1, 2), 9).rows).toBe(0);
  });
});
