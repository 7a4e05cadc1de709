/**
 * What an engine of the addon is to a session, whoever owns it: the workbench, or a PPO run between two of its items.
 */
import { TidelineError, toErrorData } from "../../core/errors.ts";
import type { GenerationEvent, NativeEngine, TidelineAddon } from "../../native/addon.d.ts";
import type { BackendEngine, BackendRequest } from "./backend.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { checkpointSummary } from "./native-observation.ts";

/** An engine and what its weights were read from. */
export interface LoadedEngine {
  readonly engine: NativeEngine;
  readonly checkpoint: Checkpoint;
  /** Another process has replaced them since. */
  readonly handedOver?: true;
}

/** Undefined for one that is closed. */
export function observeEngine(loaded: LoadedEngine, addon: TidelineAddon): BackendEngine | undefined {
  const { engine, checkpoint, handedOver } = loaded;
  const { status, weightsVersion, runningRequests, waitingRequests, kv } = engine.observe();
  if (status === "closed") return undefined;
  return {
    status,
    checkpoint: checkpointSummary(checkpoint, addon.weightBytes(checkpoint.config, checkpoint.dtype)),
    stopTokenIds: checkpoint.config.eosTokenIds,
    weightsVersion,
    ...(handedOver && { handedOver }),
    runningRequests,
    waitingRequests,
    kv,
  };
}

/** Starts a generation that ends where the checkpoint says so, or goes on past that. @returns its number. */
export function startGeneration(
  { engine, checkpoint }: LoadedEngine,
  requests: readonly BackendRequest[],
  onEvents: (events: readonly GenerationEvent[]) => void,
): number {
  const { eosTokenIds } = checkpoint.config;
  return engine.generate(
    requests.map(({ pastEndOfText, ...request }) => ({ ...request, stopTokenIds: pastEndOfText ? [] : eosTokenIds })),
    onEvents,
  );
}

/** @throws TidelineError `busy` while the engine generates. */
export function refuseWhileGenerating(engine: NativeEngine): void {
  const { runningRequests, waitingRequests } = engine.observe();
  if (runningRequests + waitingRequests === 0) return;
  throw new TidelineError({
    code: "busy",
    message: `the engine is generating (${runningRequests} running, ${waitingRequests} waiting)`,
    hint: "Wait until the generation is done, or cancel it.",
  });
}

/**
 * Ends a generation. The engine may be done with it just then, its last events still on their way: that is an end too.
 * @throws the engine's other errors.
 */
export function cancelGeneration(engine: Pick<NativeEngine, "cancel">, generation: number): void {
  try {
    engine.cancel(generation);
  } catch (error) {
    if (toErrorData(error).code !== "not_found") throw error;
  }
}
