/** What the Run screen says and asks during a PPO run. */
import { beforeEach, describe, expect, it } from "vitest";
import type { Measurement, RunState } from "../../../core/run/state.ts";
import { allStrategies } from "../../../core/schedule/build.ts";
import { advance, type Breakpoint } from "../../../core/schedule/cursor.ts";
import { formatSchedule } from "../../../core/schedule/file.ts";
import { itemsOf } from "../../../core/schedule/schedule.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import { byHandCommands, byHandId } from "../../../renderer/commands/by-hand-commands.ts";
import type { CommandContext } from "../../../renderer/commands/context.ts";
import { runCommands } from "../../../renderer/commands/run-commands.ts";
import { createClient } from "../../../renderer/door/client.ts";
import { breakpointOf, hasBreakpoint, toggled, withThreshold } from "../../../renderer/screens/run/ppo/breakpoints.ts";
import { pointsOf } from "../../../renderer/screens/run/ppo/learning-series.ts";
import { breakpointWords, placeWords, whyWords } from "../../../renderer/screens/run/ppo/run-words.ts";
import { fitWords, ownWords, savedWords } from "../../../renderer/screens/run/ppo/savings-words.ts";
import { usePreferences } from "../../../renderer/state/preferences.ts";
import { usePrompt } from "../../../renderer/state/prompt.ts";
import { capacityProblem, planOf, requestOf, seedProblem, useRunDraft } from "../../../renderer/state/run-draft.ts";
import { closeDialog, useView } from "../../../renderer/state/view.ts";
import { fakeDoor, sessionState } from "./fake-door.ts";
import { roles, runState, stepRecord, workload } from "./fake-run.ts";

const everything = runState(allStrategies(roles));
const moved = (run: RunState, cursor: Partial<RunState["cursor"]>): RunState => ({
  ...run,
  cursor: { ...run.cursor, ...cursor },
});

describe("where a run stands", () => {
  it("is the step, the phase and the item, steps counted from 1", () => {
    expect(placeWords(everything)).toBe("step 1 · rollout · before: resume engine.kv_cache");
    expect(placeWords(moved(everything, { step: 2, index: 1 }))).toBe("step 3 · rollout · work");
  });

  it("comes with the reason", () => {
    expect(whyWords(everything)).toBe("nothing has run yet");
    const breakpoint: Breakpoint = { kind: "action", action: "load", consumer: "policy.optimizer" };
    const stopped = moved(everything, { run: { status: "paused", reason: { kind: "breakpoint", breakpoint } } });
    expect(whyWords(stopped)).toBe("breakpoint: before load policy.optimizer");
    expect(breakpointWords({ kind: "memory", usedBytes: 10 * MIB })).toBe("memory rises to 10.0 MiB");
    expect(breakpointWords({ kind: "action", consumer: "logits" })).toBe("before every action on logits");
  });
});

describe("breakpoints", () => {
  const items = itemsOf(everything.schedule);

  it("set by a click stop there, and a second click clears them", () => {
    for (const item of items) {
      const wanted = breakpointOf(item);
      const set = toggled([{ kind: "out_of_memory" }], wanted);
      expect(hasBreakpoint(set, wanted)).toBe(true);
      expect(toggled(set, wanted)).toEqual([{ kind: "out_of_memory" }]);
      let cursor = advance(everything.schedule, everything.cursor, { kind: "set_breakpoints", breakpoints: set });
      cursor = advance(everything.schedule, cursor, { kind: "go", goal: { kind: "play" } });
      for (let done = 0; cursor.run.status === "running" && done <= items.length; done++) {
        cursor = advance(everything.schedule, cursor, { kind: "completed" });
      }
      const stoppedAt = items[cursor.index];
      expect(stoppedAt?.phase === item.phase || item.kind === "action").toBe(true);
      expect(whyWords({ ...everything, cursor })).toBe(`breakpoint: ${breakpointWords(wanted)}`);
    }
  });

  it("have at most one memory threshold", () => {
    const first = withThreshold([{ kind: "out_of_memory" }], MIB);
    expect(withThreshold(first, 2 * MIB)).toEqual([{ kind: "out_of_memory" }, { kind: "memory", usedBytes: 2 * MIB }]);
    expect(withThreshold(first, undefined)).toEqual([{ kind: "out_of_memory" }]);
  });
});

describe("the draft of a run", () => {
  beforeEach(() => useRunDraft.setState(useRunDraft.getInitialState()));
  const draft = () => useRunDraft.getState();

  it("is the demo as it comes until something is chosen", () => {
    const plan = planOf(draft(), workload);
    if (!plan.ok) throw new Error(plan.error.message);
    expect(requestOf(draft(), plan.schedule)).toEqual({ schedule: { kind: "strategies", strategies: NO_STRATEGIES } });
  });

  it("says why strategies contradict each other, and which", () => {
    const strategies = { ...NO_STRATEGIES, swap: { method: "share" as const }, releaseEngineWeights: true };
    expect(planOf({ ...draft(), strategies }, workload)).toMatchObject({
      ok: false,
      error: { message: expect.stringMatching(/^releaseEngineWeights/), hint: "turn one of them off" },
    });
  });

  it("reads a schedule's file, and shows one that cannot run with the action that is missing", () => {
    const text = formatSchedule(everything.schedule);
    const kind = "schedule" as const;
    expect(planOf({ ...draft(), kind, text }, workload)).toEqual({ ok: true, schedule: everything.schedule });
    const broken = text.replace(
      '{ "kind": "load", "consumer": "reference.weights" }',
      '{ "kind": "resume", "consumer": "logits" }',
    );
    const plan = planOf({ ...draft(), kind, text: broken }, workload);
    expect(plan).toMatchObject({ ok: false, schedule: expect.anything() });
    expect(!plan.ok && plan.error.hint).toMatch(/load reference\.weights/);
    expect(planOf({ ...draft(), kind, text: "{" }, workload).ok).toBe(false);
  });

  it("checks sizes and seeds as they are typed", () => {
    expect(capacityProblem({ ...draft(), capacity: "12 MiB" })).toBeUndefined();
    expect(capacityProblem({ ...draft(), capacity: "much" })).toMatch(/is not a size/);
    expect(seedProblem({ ...draft(), seed: Number.NaN })).toBeDefined();
    const request = requestOf(
      { ...draft(), workload: "file", path: " /w.json ", capacity: "12 MiB", seed: 3 },
      everything.schedule,
    );
    expect(request).toMatchObject({ workload: "/w.json", capacityBytes: 12 * MIB, seed: 3 });
  });
});

describe("savings", () => {
  const measured = (peakMib: number, stepSeconds: number, steps = 3, memorySeconds = 0.01): Measurement => ({
    steps,
    peakBytes: peakMib * MIB,
    stepSeconds,
    memorySeconds,
  });

  const onOne = (capacityMib: number) => [{ name: "host", capacityBytes: capacityMib * MIB, holds: [] }];

  it("are not claimed before the baseline is measured", () => {
    const savings = { own: measured(9, 0.2) };
    expect(savedWords(savings)).toBeUndefined();
    expect(fitWords(savings, onOne(12))).toBeUndefined();
    expect(ownWords(savings)).toBe("peak 9.00 MiB · 200 ms a step, 10.0 ms of it memory actions");
  });

  it("are bytes of the peak and seconds of memory actions, in whichever direction; what steps took is said beside", () => {
    expect(savedWords({ own: measured(9, 0.2, 3, 0.05), baseline: measured(18, 0.25) })).toBe(
      "saves 9.00 MiB (50 %) of the peak for 40.0 ms more of memory actions a step; the baseline's step took 250 ms",
    );
    expect(savedWords({ own: measured(20, 0.1), baseline: measured(16, 0.15, 3, 0.012) })).toBe(
      "takes 4.00 MiB (25 %) more than the baseline for 2.0 ms less of memory actions a step; the baseline's step took 150 ms",
    );
    // Both are saved: there is no price to name.
    expect(savedWords({ own: measured(9, 0.1), baseline: measured(18, 0.15, 3, 0.022) })).toBe(
      "saves 9.00 MiB (50 %) of the peak and 12.0 ms of memory actions a step; the baseline's step took 150 ms",
    );
    expect(savedWords({ own: measured(9, 0, 0), baseline: measured(16, 0.15) })).toMatch(/nothing to compare yet/);
    const failure = { code: "not_finite" as const, message: "a loss is NaN" };
    const stopped = { ...measured(16, 0.15), failure };
    expect(savedWords({ own: measured(9, 0.2), baseline: stopped })).toMatch(
      /was stopped: there is nothing to compare/,
    );
  });

  it("say whether the baseline would have run at all", () => {
    const baseline = measured(18, 0.15);
    expect(fitWords({ own: baseline, baseline }, onOne(12))).toMatch(/does not fit 12\.0 MiB: it was measured without/);
    expect(fitWords({ own: baseline, baseline }, onOne(32))).toMatch(/fits 32\.0 MiB too/);
    const failure = { code: "not_finite" as const, message: "a loss is NaN" };
    expect(fitWords({ own: baseline, baseline: { ...baseline, failure } }, onOne(32))).toBe(
      "the baseline stopped: a loss is NaN",
    );
  });
});

describe("curves", () => {
  it("average neighbours when there are more steps than points, and lose none", () => {
    const steps = Array.from({ length: 10 }, (_, step) => stepRecord(step, step));
    const points = pointsOf(steps, 4);
    expect(points.map(({ step, steps: count }) => [step, count])).toEqual([
      [3, 3],
      [6, 3],
      [9, 3],
      [10, 1],
    ]);
    expect(points.map(({ values }) => values.reward)).toEqual([1, 4, 7, 9]);
  });
});

describe("commands of a run", () => {
  const door = fakeDoor();
  const context = (run: RunState): CommandContext => ({
    session: sessionState({ run, engine: { status: "empty" } }),
    connected: true,
    running: [],
    secondsOf: () => 0.25,
    draft: usePrompt.getState(),
    preferences: usePreferences.getState(),
    pickFolder: undefined,
    ofScreen: [],
    request: createClient(door).request,
  });
  const running = moved(everything, { run: { status: "running", goal: { kind: "play" } } });
  const refusals = (run: RunState) =>
    Object.fromEntries(runCommands(context(run), run).map(({ id, refused }) => [id, refused]));

  it("go on only from a stand, and stop only what goes on", () => {
    expect(refusals(everything)).toMatchObject({
      "run.next_action": undefined,
      "run.play": undefined,
      "run.cancel": "nothing is running",
      "run.retry": "nothing has failed",
    });
    expect(refusals(running)).toMatchObject({
      "run.next_action": "it is running: pause it first",
      "run.play": undefined,
      "run.cancel": undefined,
    });
  });

  it("act by hand at once where it is harmless, and ask where the run would miss it", async () => {
    const plain = runState();
    const commands = byHandCommands(context(plain), plain);
    const of = (id: string) => commands.find((command) => command.id === id);
    const offload = of(byHandId({ kind: "offload", consumer: "policy.optimizer", to: "host" }));
    expect(offload?.consequence).toMatch(
      /train_policy needs policy\.optimizer: .*`load policy\.optimizer`, about 250 ms$/,
    );
    await offload?.run();
    expect(useView.getState()).toMatchObject({ dialog: "act_by_hand", action: { kind: "offload" } });
    closeDialog();

    door.answer("act", {});
    const release = of(byHandId({ kind: "release", consumer: "policy.optimizer", destination: "return" }));
    expect(release).toMatchObject({ destructive: true, consequence: expect.stringMatching(/lost for good/) });
    const inRun = byHandCommands(context(everything), everything);
    const harmless = inRun.find(({ consequence }) => consequence?.endsWith("the schedule goes on as it would"));
    await harmless?.run();
    expect(door.requests.at(-1)?.command).toBe("act");
    expect(useView.getState().dialog).toBeUndefined();
  });

  it("does nothing by hand while the run goes on", () => {
    const refused = byHandCommands(context(running), running).map((command) => command.refused);
    expect(new Set(refused)).toEqual(new Set(["the run goes on: pause it first"]));
  });
});
