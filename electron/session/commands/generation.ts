/** Commands that generate. Starting waits its turn behind changes of memory; cancelling never waits. */
import type { Handlers } from "./context.ts";

export const generationCommands: Handlers<"generate" | "cancel_generation" | "cancel_operation"> = {
  generate: async (request, { operations, generations, changed }) => {
    const generation = await operations.inTurn(() => generations.start(request));
    changed();
    return { generation };
  },

  cancel_generation: async ({ generation }, { generations }) => {
    await generations.cancel(generation);
    return {};
  },

  cancel_operation: async ({ id }, { operations }) => {
    operations.cancel(id);
    return {};
  },
};
