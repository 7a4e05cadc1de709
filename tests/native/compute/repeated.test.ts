/**
 * Decoding on a GPU is recorded once and repeated (Compute::Repeat): the record holds addresses, so it has to be as good after
 * memory was released and resumed, and after every kind of swap, as a pass that is computed anew. Played by the doubles of the
 * driver and of cuBLAS; what is expected is what the host says.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { Checkpoint } from "../../../electron/session/checkpoint.ts";
import type { GenerateRequest, NativeEngine, SwapOptions } from "../../../native/addon.d.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { negatedCheckpoint, openEngine, openFixture, prompts, request, start } from "../engine/support.ts";

let double: CudaDouble;
let other: Checkpoint;
beforeAll(async () => {
  double = await installComputeDouble({ cublas: true });
  other = await negatedCheckpoint(await openFixture("tiny-llama-gqa"), double.folder);
}, 300_000);
afterAll(() => double.remove());
afterEach(() => {
  double.disarm();
});

/** Few rows and some more, which different kernels multiply; greedy and drawn. */
const BATCHES: readonly (readonly GenerateRequest[])[] = [
  [request([3, 1, 4, 1, 5], 8)],
  prompts(11, 300).map((prompt, index) =>
    request(prompt, 4, index % 2 === 0 ? {} : { temperature: 0.8, topP: 0.9, topK: 20, seed: index }),
  ),
];

async function said(engine: NativeEngine): Promise<readonly (readonly number[])[]> {
  const all: (readonly number[])[] = [];
  for (const batch of BATCHES) {
    const outputs = await start(engine, batch).done;
    for (const { tokens, error } of outputs) {
      if (error) throw new Error(error.message);
      all.push(tokens);
    }
  }
  return all;
}

/** How often a record was repeated while something ran. */
async function repeats(work: () => Promise<unknown>): Promise<number> {
  double.arm({ call: "cuGraphLaunch", nth: 1_000_000, result: OUT_OF_MEMORY });
  await work();
  const calls = double.calls();
  double.disarm();
  return calls;
}

const open = () => openEngine({ deviceName: "cuda:0", kvCacheBytes: MIB });

async function onHost(checkpoint?: Checkpoint): Promise<readonly (readonly number[])[]> {
  const { engine } = await openEngine({ deviceName: "host", kvCacheBytes: MIB });
  if (checkpoint) await swap(engine, onDisk(checkpoint), "auto");
  return said(engine);
}

const swap = (engine: NativeEngine, source: SwapOptions["source"], method: SwapOptions["method"]) =>
  engine.swap({ source, method, running: "refuse", ...(method === "bucketed" && { bucketBytes: 8192 }) });
const onDisk = ({ config, tensors }: Checkpoint): SwapOptions["source"] => ({ kind: "checkpoint", config, tensors });

test("says what the host says, and again after every tag was released and resumed", async () => {
  const expected = await onHost();
  const { engine } = await open();
  expect(await said(engine)).toEqual(expected);
  for (const [tag, mode] of [
    ["kv_cache", "discard"],
    ["workspace", "discard"],
    ["weights", "host"],
  ] as const) {
    await engine.release(tag, { mode });
    await engine.resume(tag);
    let again: unknown;
    expect(await repeats(async () => (again = await said(engine))), tag).toBeGreaterThan(5);
    expect(again, tag).toEqual(expected);
  }
}, 300_000);

describe("after a swap", () => {
  test.each(["share", "copy", "bucketed", "disk"] as const)(
    "by %s it says what the new weights say, and back what it said before",
    async (method) => {
      const [before, after] = [await onHost(), await onHost(other)];
      expect(after).not.toEqual(before);
      const { checkpoint, engine, createModel } = await open();
      const source = async (of: Checkpoint, consumer: string): Promise<SwapOptions["source"]> => {
        if (method === "disk") return onDisk(of);
        const model = createModel(consumer);
        await model.load(of.tensors);
        return { kind: "model", model };
      };
      const of = method === "disk" ? "auto" : method;
      const [there, back] = [await source(other, "policy.weights"), await source(checkpoint, "reference.weights")];
      expect(await said(engine)).toEqual(before);
      await swap(engine, there, of);
      expect(await said(engine)).toEqual(after);
      await swap(engine, back, of);
      expect(await said(engine)).toEqual(before);
    },
    300_000,
  );
});

test("the same seed draws the same tokens with the same log-probs, bit for bit", async () => {
  const { engine } = await open();
  const batch = BATCHES[1] ?? [];
  const once = async () => (await start(engine, batch).done).map(({ tokens, logprobs }) => ({ tokens, logprobs }));
  const [first, second, third] = [await once(), await once(), await once()]; // computed, recorded, repeated
  expect(second).toEqual(first);
  expect(third).toEqual(first);
}, 300_000);

describe("out of memory", () => {
  test.each(["cuStreamBeginCapture", "cuLaunchKernelEx", "cuStreamEndCapture", "cuGraphInstantiate", "cuGraphLaunch"])(
    "at %s fails the request, and the next one gives the same answer as before",
    async (call) => {
      const { engine } = await open();
      // The first token comes with the prompt, the second is computed and the third recorded.
      const ask = request([7, 2, 9], 5);
      const expected = (await start(engine, [request([7, 2, 9], 2)]).done)[0]?.tokens ?? [];
      double.arm({ call, nth: 1, result: OUT_OF_MEMORY });
      const [failed] = await start(engine, [ask]).done;
      expect(failed?.error).toMatchObject({ code: "out_of_memory" });
      expect(double.disarm()).toBe(true);
      const [answered] = await start(engine, [ask]).done;
      expect(answered?.error).toBeUndefined();
      expect(answered?.tokens.slice(0, 2)).toEqual(expected);
      expect(answered?.tokens).toHaveLength(5);
    },
    300_000,
  );
});
