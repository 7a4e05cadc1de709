/** A session over the real addon with a small PPO workload, spoken to by envelopes alone, as a window does. */
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { type CommandAnswer, type CommandInput, type CommandName, commands } from "../../../core/contract/commands.ts";
import type { SessionEvent } from "../../../core/contract/messages.ts";
import type { ActionRecord } from "../../../core/contract/timeline.ts";
import { TidelineError } from "../../../core/errors.ts";
import type { RunState } from "../../../core/run/state.ts";
import type { Goal } from "../../../core/schedule/cursor.ts";
import { MIB } from "../../../core/units.ts";
import { Session } from "../../../electron/session/session.ts";
import { openSettings } from "../../../electron/session/settings.ts";
import { eventually } from "../../eventually.ts";
import { addon, CHUNK_BYTES, IS_HOST, roomFor, testDevice } from "../support.ts";

export const DEMO_PPO = resolve(import.meta.dirname, "../../../assets/demo-ppo");
export const DEMO = resolve(import.meta.dirname, "../../../assets/demo");
export const GREEDY = { temperature: 0, topK: 0, topP: 1, seed: 0 };

/** In such pieces a run maps memory: few of its regions are larger than a GPU's least. */
export const RUN_CHUNK_BYTES = IS_HOST ? 64 * 1024 : CHUNK_BYTES;

/** The demo's workload with fewer rollouts: a step takes a few hundredths of a second. */
const SMALL = { rollouts: 32, epochs: 1, miniBatches: 2 };

export interface TestSession {
  readonly session: Session;
  readonly folder: string;
  readonly events: readonly SessionEvent[];
  /** The workload's file. */
  readonly workload: string;
  /** Sends a command and gives its answer, or throws its error as a TidelineError. */
  ask<Name extends CommandName>(command: Name, params?: CommandInput<Name>): Promise<CommandAnswer<Name>>;
  /** Opens a run of the workload with these strategies. */
  openRun(strategies?: Strategies, more?: Omit<CommandInput<"open_run">, "schedule" | "workload">): Promise<RunState>;
  run(): Promise<RunState>;
  /** Goes and waits until the run rests. */
  go(goal: Goal): Promise<RunState>;
  /** The run, once it does not go on. */
  rest(): Promise<RunState>;
  actions(): readonly ActionRecord[];
  /** SHA-256 of the weights that `save_checkpoint` writes. */
  policyHash(): Promise<string>;
  /** Earlier than with the test's end. */
  close(): Promise<void>;
}

export type Strategies = Extract<CommandInput<"open_run">["schedule"], { kind: "strategies" }>["strategies"];

export async function openSession(changes: object = {}): Promise<TestSession> {
  const folder = await mkdtemp(join(tmpdir(), "tideline-session-"));
  const settings = openSettings(folder);
  settings.saveBackend({ device: testDevice(), capacityBytes: roomFor(64 * MIB), kvCacheBytes: 8 * MIB });
  const session = new Session({
    addon,
    settings,
    backupsFolder: join(folder, "backups"),
    socketsFolder: join(folder, "sockets"),
    checkItself: true,
  });
  let closing: Promise<void> | undefined;
  const close = () => {
    closing ??= session.close();
    return closing;
  };
  onTestFinished(async () => {
    await close();
    await rm(folder, { recursive: true, force: true });
  });
  const workload = join(folder, "small.json");
  await writeFile(workload, JSON.stringify({ ...(await demoSettings()), ...SMALL, ...changes }));
  const events: SessionEvent[] = [];
  session.subscribe((event) => events.push(event));

  const ask: TestSession["ask"] = async (command, params) => {
    const answer = await session.handle({ id: 1, command, params: params ?? {} });
    if (!answer.ok) throw new TidelineError(answer.error);
    return commands[command].answer.parse(answer.value) as CommandAnswer<typeof command>;
  };
  const run = async () => {
    const { run: state } = await ask("observe");
    if (state === undefined) throw new Error("no run is open");
    return state;
  };
  const rest = () =>
    eventually(async () => {
      const state = await run();
      const { status } = state.cursor.run;
      if (status === "running" || status === "cancelling") throw new Error(`the run is ${status}`);
      return state;
    });
  let saved = 0;
  return {
    session,
    close,
    folder,
    events,
    workload,
    ask,
    run,
    rest,
    openRun: (strategies = {}, more = {}) =>
      ask("open_run", { workload, schedule: { kind: "strategies", strategies }, ...more }),
    async go(goal) {
      await ask("go", { goal });
      return rest();
    },
    actions: () => events.flatMap((event) => (event.event === "action" ? event.action : [])),
    async policyHash() {
      const path = join(folder, `saved-${saved++}`);
      await ask("save_checkpoint", { path });
      return createHash("sha256")
        .update(await readFile(join(path, "model.safetensors")))
        .digest("hex");
    },
  };
}

/** Of the file, with its folders found from anywhere. */
async function demoSettings(): Promise<object> {
  const settings = JSON.parse(await readFile(join(DEMO_PPO, "workload.json"), "utf8"));
  const roles = Object.entries<string>(settings.roles).map(([role, name]) => [role, join(DEMO_PPO, name)]);
  const capacityBytes = roomFor(settings.device.capacityBytes);
  const device = { ...settings.device, capacityBytes, chunkBytes: RUN_CHUNK_BYTES };
  return { ...settings, roles: Object.fromEntries(roles), device };
}
