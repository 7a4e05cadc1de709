/** A run that cannot be opened says why, and leaves neither a device nor memory behind. */
import { describe, expect, test } from "vitest";
import { toErrorData } from "../../../core/errors.ts";
import { openSession } from "../session/support.ts";
import { testDevice } from "../support.ts";
import { deviceWithCache, refusals } from "./refusals.ts";
import { demoWorkload } from "./support.ts";

describe("a KV cache without room for a block", () => {
  const device = deviceWithCache(1);

  test("is told by the engine's error", async () => {
    for (const error of await refusals(await demoWorkload({ device }), "host")) {
      expect(error).toMatchObject({ code: "kv_cache_too_small" });
    }
  });

  test("is told in a window, whose engine works on", async () => {
    const { ask, openRun } = await openSession({ device });
    const refused = await openRun().catch(toErrorData);
    expect(refused).toMatchObject({ code: "kv_cache_too_small" });
    const { run, consumers } = await ask("observe");
    expect({ run, names: consumers.map(({ consumer }) => consumer) }).toEqual({ run: undefined, names: [] });
  });
});

test("weights that are missing are told with the role and its folder", async () => {
  const workload = await demoWorkload();
  const { reference } = workload.checkpoints;
  const checkpoints = { ...workload.checkpoints, reference: { ...reference, tensors: reference.tensors.slice(1) } };
  for (const error of await refusals({ ...workload, checkpoints }, testDevice())) {
    expect(error.message).toMatch(`reference, ${reference.path}: ${reference.tensors[0]?.name} is missing`);
  }
});
