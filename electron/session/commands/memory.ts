/** Commands that move memory, lend it or only time it: release, resume, swap, loans, trim, measuring the link, and the pause before them. */
import { basename, dirname, resolve } from "node:path";
import type { SwapSource } from "../../../core/contract/commands.ts";
import { readHandedOver } from "../handed-over.ts";
import { makeOwnFolder } from "../new-folder.ts";
import { type Handlers, remember } from "./context.ts";
import { openFolder, rememberCheckpoint } from "./models.ts";

type MemoryCommand =
  | "release"
  | "resume"
  | "swap"
  | "lend"
  | "end_loan"
  | "trim"
  | "measure_link"
  | "pause"
  | "continue";

export const memoryCommands: Handlers<MemoryCommand> = {
  release: (request, { actions, device }) => {
    const { consumer, mode, destination } = request;
    const kept = destination === "hold" ? `${mode}, hold` : mode;
    return actions.run({ kind: "release", consumer, label: `release ${consumer} (${kept})` }, (work) =>
      device.backend.release(request, work),
    );
  },

  resume: ({ consumer }, { actions, device }) =>
    actions.run({ kind: "resume", consumer, label: `resume ${consumer}` }, (work) =>
      device.backend.resume(consumer, work),
    ),

  swap: ({ source, ...how }, context) => {
    const { actions, device } = context;
    const action = {
      kind: "swap",
      consumer: "engine.weights",
      label: `swap engine.weights to ${nameOf(source)}`,
    } as const;
    return actions.run(action, async (work) => {
      switch (source.kind) {
        case "model":
          return device.backend.swap({ source, ...how }, work);
        case "process": {
          const weights = await readHandedOver(source.path);
          return device.backend.swap({ source: { kind: "process", weights }, ...how }, work);
        }
        case "checkpoint": {
          const checkpoint = await openFolder(source.path, context);
          const receipt = await device.backend.swap({ source: { kind: "checkpoint", checkpoint }, ...how }, work);
          rememberCheckpoint(checkpoint, context);
          return receipt;
        }
      }
    });
  },

  lend: async ({ consumer, path: given }, { actions, device, socketsFolder }) => {
    const path = resolve(given);
    await actions.run({ kind: "lend", consumer, label: `lend ${consumer}`, cancellable: false }, async () => {
      if (dirname(path) === socketsFolder) {
        const hint = "Choose a socket in another folder of your own.";
        makeOwnFolder(socketsFolder, { code: "bad_argument", purpose: "sockets", hint, mode: 0o700 });
      }
      await device.backend.lend(consumer, path);
      return undefined;
    });
    return { path };
  },

  end_loan: async ({ consumer }, { actions, device }) => {
    const label = `end the loan of ${consumer}`;
    await actions.run({ kind: "end_loan", consumer, label, cancellable: false }, async () => {
      await device.backend.endLoan(consumer);
      return undefined;
    });
    return {};
  },

  trim: async (_, { actions, device }) => {
    const { bytesFreed } = await actions.run(
      { kind: "release", consumer: "pool", label: "trim the pool", cancellable: false },
      async () => {
        const startedMs = performance.now();
        const freed = await device.backend.trim();
        return {
          action: "release",
          consumer: "pool",
          method: "return",
          bytesFreed: freed,
          bytesRetained: 0,
          bytesCommitted: 0,
          bytesCopied: 0,
          milliseconds: performance.now() - startedMs,
        };
      },
    );
    return { bytesFreed };
  },

  measure_link: async (_, context) => {
    const { operations, device, state, changed } = context;
    const link = await operations.run("measure the link", async (work) => {
      const { backend } = device;
      const measured = await backend.measureLink(work);
      const { name } = backend.observe().device;
      const choice = state().devices.find((candidate) => candidate.name === name);
      if (choice !== undefined) remember(context, (settings) => settings.saveLink(choice, measured));
      return measured;
    });
    changed();
    return link;
  },

  pause: async ({ mode }, { actions, device }) => {
    await actions.run({ kind: "pause", label: `pause (${mode})`, cancellable: false }, async () => {
      await device.backend.pause(mode);
      return undefined;
    });
    return {};
  },

  continue: async (_, { actions, device }) => {
    await actions.run({ kind: "continue", label: "continue", cancellable: false }, async () => {
      await device.backend.continue();
      return undefined;
    });
    return {};
  },
};

function nameOf(source: SwapSource): string {
  switch (source.kind) {
    case "model":
      return source.role;
    case "process":
      return "those of another process";
    case "checkpoint":
      return basename(source.path);
  }
}
