/** Commands that bring models: into the engine, beside it, back to a folder; and the device they are brought to. */
import { basename, resolve } from "node:path";
import { formatBytes } from "../../../core/units.ts";
import { type Checkpoint, openCheckpoint } from "../checkpoint.ts";
import { type CommandContext, type Handlers, remember } from "./context.ts";

/** A checkpoint whose tokenizer was read too, so that both are known to be sound before memory moves. */
export async function openFolder(path: string, { tokenizers }: CommandContext): Promise<Checkpoint> {
  const checkpoint = await openCheckpoint(path);
  await tokenizers.read(checkpoint);
  return checkpoint;
}

/** Among those that are offered first. */
export function rememberCheckpoint({ path, name, parameters }: Checkpoint, context: CommandContext): void {
  remember(context, (settings) => settings.addRecent({ path, name, parameters }));
}

export const modelCommands: Handlers<
  "open_checkpoint" | "load_model" | "unload_model" | "save_checkpoint" | "configure"
> = {
  open_checkpoint: ({ path }, context) => {
    const { actions, device } = context;
    return actions.run({ kind: "load", consumer: "engine.weights", label: `open ${basename(path)}` }, async (work) => {
      const checkpoint = await openFolder(path, context);
      const receipt = await device.backend.open(checkpoint, work);
      rememberCheckpoint(checkpoint, context);
      return receipt;
    });
  },

  load_model: ({ path, role }, context) => {
    const { actions, device } = context;
    return actions.run(
      { kind: "load", consumer: `${role}.weights`, label: `load ${basename(path)} as ${role}` },
      async (work) => device.backend.loadModel(role, await openFolder(path, context), work),
    );
  },

  unload_model: async ({ role }, { actions, device }) => {
    const consumer = `${role}.weights`;
    const label = `unload ${role}`;
    await actions.run({ kind: "unload", consumer, label, cancellable: false }, () => device.backend.unloadModel(role));
    return {};
  },

  save_checkpoint: async ({ path }, { operations, device }) =>
    operations.run(`save to ${path}`, (work) => device.backend.save(resolve(path), work)),

  configure: async (changes, context) => {
    const { actions, device, state } = context;
    const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
    await actions.run({ kind: "configure", label: describe(changes) }, async (work) => {
      await device.backend.configure(given, work);
      remember(context, (settings) => settings.saveBackend(given));
      return undefined;
    });
    return state();
  },
};

function describe(changes: {
  readonly device?: string | undefined;
  readonly capacityBytes?: number | undefined;
  readonly kvCacheBytes?: number | undefined;
  readonly samplingHertz?: number | undefined;
}): string {
  const { device, capacityBytes, kvCacheBytes, samplingHertz } = changes;
  const parts = [
    device === undefined ? [] : [`device ${device}`],
    capacityBytes === undefined ? [] : [`capacity ${formatBytes(capacityBytes)}`],
    kvCacheBytes === undefined ? [] : [`KV cache ${formatBytes(kvCacheBytes)}`],
    samplingHertz === undefined ? [] : [`sampling at ${samplingHertz} Hz`],
  ].flat();
  return parts.length === 0 ? "configure" : parts.join(", ");
}
