/** The engine's stream of tokens, collected into whole rollouts. */
import { assertNever, TidelineError, toErrorData } from "../../core/errors.ts";
import type { FinishReason, GenerationEvent, NativeEngine } from "../../native/addon.d.ts";
import { cancelGeneration } from "../session/native-engine.ts";
import type { Rollout, RolloutRequest } from "./backend.ts";

/**
 * Generates all requests together.
 * @throws the error of the first request that fails; `cancelled`. The engine is idle again then.
 */
export async function collectRollouts(
  engine: Pick<NativeEngine, "generate" | "cancel">,
  requests: readonly RolloutRequest[],
  stopTokenIds: readonly number[],
  signal: AbortSignal,
): Promise<readonly Rollout[]> {
  const responses = requests.map((): number[] => []);
  const reasons: FinishReason[] = [];
  let failure: TidelineError | undefined;
  const native = requests.map((request) => ({ ...request, stopTokenIds }));
  await new Promise<void>((resolve) => {
    let left = requests.length;
    let generation: number | undefined;
    const cancel = () => {
      if (generation !== undefined) cancelGeneration(engine, generation);
    };
    const take = (event: GenerationEvent) => {
      switch (event.type) {
        case "token":
          responses[event.index]?.push(event.tokenId);
          return;
        case "finished":
          reasons[event.index] = event.reason;
          left -= 1;
          break;
        case "error":
          // `finished` follows.
          failure ??= new TidelineError(toErrorData(event.error));
          return;
        default:
          assertNever(event);
      }
      if (left > 0) return;
      signal.removeEventListener("abort", cancel);
      resolve();
    };
    generation = engine.generate(native, (events) => events.forEach(take));
    signal.addEventListener("abort", cancel);
    if (signal.aborted) cancel();
  });
  if (failure !== undefined) throw failure;
  return requests.map(({ promptIds }, index) => {
    const reason = reasons[index];
    if (reason !== "stop" && reason !== "length") {
      throw new TidelineError({ code: "cancelled", message: `the rollout was ended: ${reason}` });
    }
    return { promptIds, responseIds: responses[index] ?? [], ended: reason };
  });
}
