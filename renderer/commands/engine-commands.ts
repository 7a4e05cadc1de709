/** Pausing, continuing and swapping the engine, and the one click that makes it able to generate again. */
import type { EngineState, SessionState } from "../../core/contract/state.ts";
import { openDialog } from "../state/view.ts";
import type { Command } from "./command.ts";
import { type CommandContext, refusedBecause, refusedOffline } from "./context.ts";

const PAUSE_MODES = [
  { mode: "abort", label: "Abort requests", consequence: "running requests end now, with the tokens they have" },
  {
    mode: "retract",
    label: "Retract requests",
    consequence: "running requests give up their KV cache and are computed again on continue",
  },
  {
    mode: "in_place",
    label: "Freeze in place",
    consequence: "running requests keep their KV cache and go on where they were",
  },
] as const;

export function engineCommands(context: CommandContext): readonly Command[] {
  const { session, request } = context;
  const engine = session?.engine;
  const offline = refusedOffline(context);
  const empty = engine?.status === "empty" && "no checkpoint is open";
  const swapping = engine?.status === "swapping" && "weights are being swapped: wait for that";
  const commands: Command[] = PAUSE_MODES.map(({ mode, label, consequence }) => ({
    id: `engine.pause.${mode}`,
    title: `Pause the engine: ${label.toLowerCase()}`,
    label,
    group: "Engine",
    consequence,
    ...refusedBecause(offline, empty, swapping, engine?.status === "paused" && "the engine is paused already"),
    run: async () => {
      await request("pause", { mode });
    },
  }));
  commands.push(
    {
      id: "engine.continue",
      title: "Continue the engine",
      label: "Continue",
      group: "Engine",
      ...refusedBecause(offline, empty, engine?.status !== "paused" && "the engine is not paused"),
      run: async () => {
        await request("continue", {});
      },
    },
    {
      id: "engine.swap",
      title: "Swap the engine's weights…",
      label: "Swap…",
      group: "Engine",
      keys: [{ key: "s", mod: true, shift: true }],
      consequence: "replaces the weights from a folder, a model in memory or another process, at the same addresses",
      ...refusedBecause(offline, empty, swapping),
      run: () => openDialog("swap"),
    },
  );
  if (engine !== undefined && engine.status !== "empty") {
    const { path, name } = engine.checkpoint;
    commands.push({
      id: "engine.reload_weights",
      title: `Load the weights of ${name} again`,
      label: `Load ${name} again`,
      group: "Engine",
      consequence: "reads the same checkpoint from disk into the engine",
      ...refusedBecause(offline, swapping, engine.status === "running" && "a generation is running"),
      run: async () => {
        await request("swap", { source: { kind: "checkpoint", path } });
      },
    });
  }
  return commands;
}

/** The id of the command that brings the engine nearest to generating; undefined when it can, or nothing is known. */
export function remedyFor(session: SessionState): string | undefined {
  const { engine } = session;
  if (engine.status === "empty") {
    return session.demoCheckpoint === undefined ? "checkpoint.open" : "checkpoint.demo";
  }
  const blocked = blockingConsumer(session, engine);
  if (blocked !== undefined) return blocked;
  return engine.status === "paused" ? "engine.continue" : undefined;
}

function blockingConsumer(
  session: SessionState,
  engine: Exclude<EngineState, { status: "empty" }>,
): string | undefined {
  const of = (name: string) => session.consumers.find(({ consumer }) => consumer === name);
  const weights = of("engine.weights");
  const shared =
    weights?.residency === "shared" && weights.sharedWith !== undefined ? of(weights.sharedWith) : undefined;
  for (const consumer of [shared ?? weights, of("engine.kv_cache"), of("workspace")]) {
    if (consumer === undefined) continue;
    const away = consumer.residency !== "resident" && consumer.residency !== "shared";
    if (away) return `resume.${consumer.consumer}`;
    // A cache or scratch memory starts undefined after a resume and is written as it is used; weights are not.
    if (consumer === weights && consumer.contents === "undefined") return "engine.reload_weights";
  }
  return engine.obstacle?.code === "no_model" ? "checkpoint.open" : undefined;
}
