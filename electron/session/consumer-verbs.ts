/** What can be done to a consumer's memory by its name, whoever has it: the engine has three, every model beside it one. */
import { ENGINE_TAGS, engineConsumer, type Role } from "../../core/consumers.ts";
import { TidelineError } from "../../core/errors.ts";
import type { NativeEngine, NativeModel } from "../../native/addon.d.ts";
import type { Lendable } from "./loans.ts";

type Releasable = Pick<NativeModel, "release" | "resume">;

export function modelConsumer(role: Role): string {
  return `${role}.weights`;
}

/** @throws TidelineError `not_found`; what `engine` throws. */
export function verbsOf(
  consumer: string,
  engine: () => NativeEngine,
  models: ReadonlyMap<Role, { readonly model: NativeModel }>,
): Releasable | (Releasable & Lendable) {
  const tag = ENGINE_TAGS.find((candidate) => engineConsumer(candidate) === consumer);
  if (tag !== undefined) {
    const owner = engine();
    const releasable: Releasable = {
      release: (options) => owner.release(tag, options),
      resume: (operation) => owner.resume(tag, operation),
    };
    return tag === "weights" ? { ...releasable, share: (options) => owner.shareWeights(options) } : releasable;
  }
  for (const [role, { model }] of models) if (modelConsumer(role) === consumer) return model;
  throw new TidelineError({
    code: "not_found",
    message: `${consumer} holds nothing that can be released, resumed or lent`,
    hint: "Name a consumer of the list: engine.weights, engine.kv_cache, workspace, or a loaded model's weights.",
  });
}
