import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import type { SessionState } from "../../../core/contract/state.ts";
import { TidelineError } from "../../../core/errors.ts";
import { PRESETS } from "../../../core/planner/presets.ts";
import { MIB } from "../../../core/units.ts";
import type { Command } from "../../../renderer/commands/command.ts";
import type { CommandContext } from "../../../renderer/commands/context.ts";
import { remedyFor } from "../../../renderer/commands/engine-commands.ts";
import { findCommands } from "../../../renderer/commands/find-commands.ts";
import { chordIdentity } from "../../../renderer/commands/keys.ts";
import { planCommands, standingOf } from "../../../renderer/commands/plan-commands.ts";
import { buildCommands, commandForKey, execute } from "../../../renderer/commands/registry.ts";
import { createClient } from "../../../renderer/door/client.ts";
import { useNotices } from "../../../renderer/state/notices.ts";
import { usePlan } from "../../../renderer/state/plan.ts";
import { usePreferences } from "../../../renderer/state/preferences.ts";
import { usePrompt } from "../../../renderer/state/prompt.ts";
import { timelineCommands } from "../../../renderer/timeline/commands.ts";
import { TimelineView } from "../../../renderer/timeline/view.ts";
import { consumer, fakeDoor, sessionState } from "./fake-door.ts";
import { runState } from "./fake-run.ts";

const door = fakeDoor();

function context(session: SessionState | undefined, change: Partial<CommandContext> = {}): CommandContext {
  return {
    session,
    connected: true,
    running: [],
    secondsOf: () => undefined,
    draft: usePrompt.getState(),
    preferences: usePreferences.getState(),
    pickFolder: undefined,
    ofScreen: timelineCommands(new TimelineView({ isLive: true })),
    request: createClient(door).request,
    ...change,
  };
}

/** A state with everything in it: models, recents, a pool, an operation, a demo. */
const full = sessionState({
  consumers: [
    consumer("engine.weights", 6),
    consumer("engine.kv_cache", 64, { residency: "released" }),
    consumer("workspace", 6),
    consumer("policy.weights", 6, { loan: { path: "/run/policy.weights.sock", borrowers: 0 } }),
  ],
  device: { ...sessionState().device, heldBytes: 64 * MIB },
  recents: [
    { path: "/a", name: "a", available: true },
    { path: "/b", name: "b", available: false },
  ],
  demoCheckpoint: "/demo",
  operations: [{ id: 3, label: "load", doneBytes: 1, totalBytes: 2, cancellable: true }],
});

/** A PPO run has the device. */
const running = sessionState({
  run: runState(),
  engine: { status: "empty" },
  operations: [{ id: 3, label: "measure the baseline", doneBytes: 1, totalBytes: 2, cancellable: true }],
});

const onTwoDevices: SessionState = {
  ...running,
  otherDevices: [{ device: { ...running.device, name: "cuda:1" }, consumers: [] }],
};

/** The Plan screen, with a plan that was changed beside another. */
function onPlanScreen(session: SessionState | undefined): CommandContext {
  const store = { ...usePlan.getState(), other: PRESETS[0].plan };
  const base = context(session);
  const ofScreen = planCommands({ standing: standingOf(store), session, request: base.request });
  return { ...base, preferences: { ...base.preferences, screen: "plan" }, ofScreen };
}

const states: readonly (readonly [string, SessionState | undefined])[] = [
  ["no session yet", undefined],
  ["nothing loaded", sessionState({ engine: { status: "empty" }, consumers: [] })],
  ["idle", sessionState()],
  ["everything", full],
  ["a PPO run", running],
  ["a PPO run on two devices", onTwoDevices],
];

describe("the command registry", () => {
  it.each(states)("has no id twice: %s", (_, session) => {
    for (const of of [context, onPlanScreen]) {
      const ids = buildCommands(of(session)).map(({ id }) => id);
      expect(new Set(ids).size).toBe(ids.length);
    }
  });

  it.each(states)("has no keys twice, except Escape, which stops or clears: %s", (_, session) => {
    for (const of of [context, onPlanScreen]) {
      const chords = buildCommands(of(session))
        .flatMap(({ keys }) => keys ?? [])
        .filter(({ key }) => key !== "Escape")
        .map(chordIdentity);
      expect(new Set(chords).size).toBe(chords.length);
    }
  });

  it("knows the command of every button in the renderer's source", () => {
    const known = new Set(
      [context(full), context(sessionState()), context(running), context(onTwoDevices), onPlanScreen(full)].flatMap(
        (one) => buildCommands(one).map(({ id }) => id),
      ),
    );
    const buttons = sources("renderer").flatMap((source) =>
      [...source.matchAll(/<CommandButton\s+id="([^"]+)"/g)].map(([, id]) => id ?? ""),
    );
    expect(buttons.length).toBeGreaterThan(10);
    expect(buttons.filter((id) => !known.has(id))).toEqual([]);
  });

  it("keys are listened to in one place, but for a splitter and the bars of a plan, that their own arrows move", () => {
    const listening = readdirSync("renderer", { recursive: true, encoding: "utf8" })
      .filter((file) => /\.tsx?$/.test(file))
      .filter((file) => /onKeyDown|"keydown"/.test(readFileSync(join("renderer", file), "utf8")))
      .filter((file) => !file.startsWith("timeline"));
    expect(listening.sort()).toEqual([
      "commands/use-commands.tsx",
      "components/splitter.tsx",
      "screens/plan/chart/chart.tsx",
    ]);
  });

  it("refuses everything that needs the session while it cannot be reached", () => {
    const commands = buildCommands(context(full, { connected: false }));
    const possible = commands.filter(({ refused }) => refused === undefined).map(({ group }) => group);
    expect(new Set(possible)).toEqual(new Set(["Timeline", "Window"]));
  });

  it("Escape stops a generation when one runs, else clears the cursors when there are some", () => {
    const pressed = { key: "Escape", code: "Escape", ctrlKey: false, metaKey: false, shiftKey: false, altKey: false };
    const view = new TimelineView({ isLive: true });
    view.setCursors(1, 2);
    const running = [
      {
        id: 4,
        startedSeconds: 1,
        weightsVersion: 1,
        checkpointName: "demo",
        requests: [],
        newTokens: 0,
        tokensPerSecond: 0,
      },
    ];
    const means = (change: Partial<CommandContext>) =>
      commandForKey(buildCommands(context(sessionState(), change)), pressed, { typing: true, mac: false })?.id;
    expect(means({ running, ofScreen: timelineCommands(view) })).toBe("generate.stop");
    expect(means({ ofScreen: timelineCommands(view) })).toBe("timeline.clear_cursors");
  });

  it("says beforehand what cannot be while another process has weights mapped, and takes back a loan", async () => {
    const mapped = (name: string) =>
      buildCommands(
        context(
          sessionState({
            demoCheckpoint: "/demo",
            recents: [{ path: "/a", name: "a", available: true }],
            consumers: [consumer("engine.weights", 6), consumer("policy.weights", 6)].map((state) =>
              state.consumer === name ? { ...state, loan: { path: "/run/a.sock", borrowers: 1 } } : state,
            ),
          }),
        ),
      );
    const refused = (name: string) =>
      mapped(name).flatMap((command) => (command.refused?.includes("is mapped by 1 process") ? command.id : []));
    const opening = ["run.open", "checkpoint.open", "checkpoint.demo", "recent.open./a"];
    expect(refused("engine.weights")).toEqual(expect.arrayContaining(opening));
    expect(refused("engine.weights")).not.toContain("recent.swap./a");
    expect(refused("policy.weights").filter((id) => opening.includes(id))).toEqual(["run.open"]);

    const before = door.requests.length;
    const end = mapped("policy.weights").find(({ id }) => id === "end_loan.policy.weights");
    void end?.run();
    expect(door.requests.slice(before)).toMatchObject([
      { command: "end_loan", params: { consumer: "policy.weights" } },
    ]);
  });

  it("says why it cannot generate: the obstacle of the engine, or what is wrong with the prompt", () => {
    const { engine } = sessionState();
    if (engine.status === "empty") throw new Error("unreachable");
    const obstacle = { code: "not_resident", message: "engine.kv_cache is released", hint: "Resume it." } as const;
    const blocked = sessionState({ engine: { ...engine, obstacle } });
    const refusal = (session: SessionState, change: Partial<CommandContext> = {}) =>
      buildCommands(context(session, change)).find(({ id }) => id === "generate.start")?.refused;
    expect(refusal(blocked)).toBe("engine.kv_cache is released: Resume it.");
    expect(refusal(sessionState(), { draft: { ...usePrompt.getState(), text: "" } })).toBe("the prompt is empty");
    expect(refusal(sessionState())).toBeUndefined();
  });
});

describe("the remedy for an engine that cannot generate", () => {
  const withConsumers = (...consumers: SessionState["consumers"]) => sessionState({ consumers });

  it.each([
    ["nothing is loaded", sessionState({ engine: { status: "empty" }, demoCheckpoint: "/demo" }), "checkpoint.demo"],
    [
      "the KV cache is released",
      withConsumers(consumer("engine.weights", 6), consumer("engine.kv_cache", 64, { residency: "released" })),
      "resume.engine.kv_cache",
    ],
    [
      "the weights are on disk",
      withConsumers(consumer("engine.weights", 6, { residency: "disk" })),
      "resume.engine.weights",
    ],
    [
      "the weights were discarded",
      withConsumers(consumer("engine.weights", 6, { contents: "undefined" })),
      "engine.reload_weights",
    ],
    [
      "the model it shares is away",
      withConsumers(
        consumer("engine.weights", 6, { residency: "shared", sharedWith: "policy.weights" }),
        consumer("policy.weights", 6, { residency: "host" }),
      ),
      "resume.policy.weights",
    ],
    ["it can generate", sessionState(), undefined],
  ])("%s", (_, session, remedy) => {
    expect(remedyFor(session)).toBe(remedy);
    if (remedy !== undefined) {
      expect(buildCommands(context(session)).find(({ id }) => id === remedy)?.refused).toBeUndefined();
    }
  });
});

describe("finding commands", () => {
  const commands = buildCommands(context(full));

  it("takes whole words only: a destructive command is never a guess", () => {
    expect(findCommands(commands, "second model")[0]?.id).toBe("checkpoint.load_model");
    expect(findCommands(commands, "rlsdscrd")).toEqual([]);
  });

  it("puts what can be done before what cannot", () => {
    const found = findCommands(commands, "the");
    const firstRefused = found.findIndex(({ refused }) => refused !== undefined);
    expect(found.slice(firstRefused).every(({ refused }) => refused !== undefined)).toBe(true);
  });
});

describe("running a command", () => {
  const command = (change: Partial<Command>): Command => ({
    id: "test",
    title: "Test",
    group: "Window",
    run: () => {},
    ...change,
  });

  beforeEach(() => useNotices.setState({ notices: [] }));

  it("does not run what is refused, and says why", async () => {
    let ran = false;
    await execute(
      command({
        refused: "not now",
        run: () => {
          ran = true;
        },
      }),
    );
    expect(ran).toBe(false);
    expect(useNotices.getState().notices[0]?.title).toBe("Test: not now");
  });

  it("shows what went wrong with its hint", async () => {
    const error = { code: "out_of_memory", message: "full", hint: "release something" } as const;
    await execute(command({ run: () => Promise.reject(new TidelineError(error)) }));
    expect(useNotices.getState().notices[0]).toMatchObject({ title: "Test", error });
  });

  it("takes an error back once the same command works", async () => {
    const failing = () => Promise.reject(new TidelineError({ code: "busy", message: "busy" }));
    await execute(command({ run: failing }));
    await execute(command({ title: "Other", run: failing }));
    await execute(command({}));
    expect(useNotices.getState().notices.map(({ title }) => title)).toEqual(["Other"]);
  });

  it("does not start a second time what has not ended", async () => {
    let runs = 0;
    let end = () => {};
    const slow = command({
      run: () => {
        runs++;
        return new Promise<void>((resolve) => {
          end = resolve;
        });
      },
    });
    const first = execute(slow);
    await execute(slow);
    end();
    await first;
    expect(runs).toBe(1);
  });
});

function sources(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".tsx"))
    .map((file) => readFileSync(join(folder, file), "utf8"));
}
