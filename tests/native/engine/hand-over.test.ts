/**
 * Weights that a trainer in another process hands over by CUDA IPC: one copy on the device, and everything that is refused.
 * On the GPU that TIDELINE_DEVICE names, or else on one that the double of the driver plays.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { parseHandedOver } from "../../../core/checkpoint/handed-over.ts";
import { MIB } from "../../../core/units.ts";
import type { Checkpoint } from "../../../electron/session/checkpoint.ts";
import type { ForeignWeights, NativeEngine, SwapOptions } from "../../../native/addon.d.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, ILLEGAL_ADDRESS, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { Peer } from "../peer.ts";
import { CHUNK_BYTES, DEVICE_NAME, failure, IS_EMULATED, IS_HOST, testDevice } from "../support.ts";
import { compileTrainer, describedBy, layOut } from "../trainer.ts";
import { negatedCheckpoint, openEngine, openFixture } from "./support.ts";

const ON_CARD = !IS_HOST && !IS_EMULATED;
const PROMPT = [17, 4, 99, 23];
const EXAMPLES = join(import.meta.dirname, "../../../assets/examples");
const folder = mkdtempSync(join(tmpdir(), "tideline-hand-over-"));
const program = join(folder, "trainer");
let double: CudaDouble | undefined;

beforeAll(async () => {
  compileTrainer(program);
  if (!ON_CARD) double = await installComputeDouble();
}, 300_000);
afterEach(() => {
  double?.disarm();
});
afterAll(() => {
  double?.remove();
  rmSync(folder, { recursive: true });
});

/** Tensors back to back, in two allocations: what a trainer has, and how it is described. */
interface Given {
  readonly weights: ForeignWeights;
  readonly trainer: Peer;
}

function startTrainer(command: string, args: readonly string[]): Peer {
  const trainer = new Peer(command, args, double?.environment ?? {});
  onTestFinished(async () => {
    await trainer.end("by itself");
  });
  return trainer;
}

async function handedOver(checkpoint: Checkpoint): Promise<Given> {
  const laidOut = await layOut(checkpoint, folder);
  const trainer = startTrainer(program, [laidOut.file, String(laidOut.split)]);
  return { trainer, weights: await describedBy(trainer, laidOut) };
}

/** An engine, and a trainer with the same model but for the sign of its logits. */
async function openBoth() {
  const deviceName = ON_CARD ? testDevice() : "cuda:0";
  const opened = await openEngine({ deviceName, chunkBytes: CHUNK_BYTES });
  const given = await handedOver(await negatedCheckpoint(opened.checkpoint, folder));
  return { ...opened, ...given };
}

function swap(engine: NativeEngine, weights: ForeignWeights, rest: Partial<SwapOptions> = {}) {
  return engine.swap({ source: { kind: "process", weights }, method: "auto", running: "refuse", ...rest });
}

const logits = async (engine: NativeEngine) => Array.from((await engine.score(PROMPT)).lastLogits);

test("the engine reads what the trainer had, after one copy; the trainer may go then", async () => {
  const { engine, trainer, weights, device } = await openBoth();
  const before = await logits(engine);
  const { weightsVersion } = engine.observe();
  const held = { used: device.observe().committedBytes, double: double?.counts().mappings };
  const bytesCopied = weights.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(await swap(engine, weights)).toMatchObject({ action: "swap", method: "ipc", bytesCopied, bytesCommitted: 0 });
  expect(await trainer.ask("free")).toBe("freed");
  expect({ used: device.observe().committedBytes, double: double?.counts().mappings }).toEqual(held);
  expect(await logits(engine)).toEqual(before.map((value) => -value));
  expect(engine.observe()).toMatchObject({ status: "idle", weightsVersion: weightsVersion + 1 });
});

test("into weights that were released, and instead of those that were shared", async () => {
  const { engine, weights, createModel, checkpoint } = await openBoth();
  const before = await logits(engine);
  await engine.release("weights", { mode: "discard" });
  expect((await swap(engine, weights)).bytesCommitted).toBeGreaterThan(0);
  const policy = createModel("policy.weights");
  await policy.load(checkpoint.tensors);
  await engine.swap({ source: { kind: "model", model: policy }, method: "share", running: "refuse" });
  expect(await logits(engine)).toEqual(before);
  await swap(engine, weights);
  expect(await logits(engine)).toEqual(before.map((value) => -value));
});

describe("refused, and nothing changes:", () => {
  type Tensor = ForeignWeights["tensors"][number];
  const NAME = "model.layers.1.mlp.down_proj.weight";
  const changed = (change: (tensor: Tensor) => Partial<Tensor>) => (weights: ForeignWeights) => ({
    ...weights,
    tensors: weights.tensors.map((tensor) => (tensor.name === NAME ? { ...tensor, ...change(tensor) } : tensor)),
  });
  const reshaped = changed(({ shape }) => ({ shape: [...shape].reverse() }));
  test.each<readonly [string, (weights: ForeignWeights) => ForeignWeights, object]>([
    [
      "another GPU",
      (weights) => ({ ...weights, device: { uuid: "GPU-0" } }),
      { code: "unsupported", message: expect.stringContaining(DEVICE_NAME === "host" ? "cuda:0" : DEVICE_NAME) },
    ],
    [
      "a tensor that is missing",
      (weights) => ({ ...weights, tensors: weights.tensors.filter(({ name }) => name !== NAME) }),
      { code: "weights_mismatch", tensor: NAME },
    ],
    [
      "a tensor twice",
      (weights) => ({ ...weights, tensors: [...weights.tensors, ...weights.tensors] }),
      { code: "bad_argument", tensor: expect.any(String) },
    ],
    ["another shape", reshaped, { code: "weights_mismatch", tensor: NAME }],
    ["another dtype", changed(() => ({ dtype: "BF16" })), { code: "weights_mismatch", tensor: NAME, field: "dtype" }],
    ["a dtype that is none", changed(() => ({ dtype: "F8" })), { code: "weights_mismatch", tensor: NAME }],
    ["a size that lies", changed(({ bytes }) => ({ bytes: bytes - 4 })), { code: "bad_argument", tensor: NAME }],
    ["no such allocation", changed(() => ({ allocation: 2 })), { code: "bad_argument", tensor: NAME }],
    ["beyond the end", changed(() => ({ offset: 2 ** 40 })), { code: "bad_argument", tensor: NAME }],
    ["half beyond the end", changed(() => ({ offset: 2 * MIB - 4 })), { code: "bad_argument", tensor: NAME }],
    [
      "a handle that is none",
      (weights) => ({ ...weights, allocations: ["0".repeat(128), "0".repeat(128)] }),
      { code: "not_resident", hint: expect.stringContaining("again") },
    ],
    [
      "no handle",
      (weights) => ({ ...weights, allocations: ["abc"] }),
      { code: "bad_argument", field: "allocations[]" },
    ],
  ])("%s", async (_, change, error) => {
    const { engine, weights } = await openBoth();
    const before = { logits: await logits(engine), version: engine.observe().weightsVersion };
    const mappings = double?.counts().mappings;
    expect(await failure(() => swap(engine, change(weights)))).toMatchObject(error);
    expect({ logits: await logits(engine), version: engine.observe().weightsVersion }).toEqual(before);
    expect(double?.counts().mappings).toBe(mappings);
  });

  test("memory that was freed, or whose process has ended", async () => {
    const { engine, trainer, weights } = await openBoth();
    const before = await logits(engine);
    expect(await trainer.ask("free")).toBe("freed");
    expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "not_resident" });
    await trainer.end("by itself");
    expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "not_resident" });
    expect(await logits(engine)).toEqual(before);
  });

  test.each(["share", "bucketed"] as const)("by %s", async (method) => {
    const { engine, weights } = await openBoth();
    expect(await failure(() => swap(engine, weights, { method }))).toMatchObject({
      code: "bad_argument",
      field: "method",
    });
  });

  test("an engine on the host", async () => {
    const { engine } = await openEngine({ deviceName: "host" });
    const weights = { device: { uuid: "GPU-0" }, allocations: [], tensors: [] };
    expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "unsupported" });
  });
});

const onDemand = ON_CARD ? " (skipped: a card's own driver fails at no call on demand)" : "";
describe.skipIf(ON_CARD)(`a driver that fails${onDemand}`, () => {
  test.each(["cuIpcOpenMemHandle", "cuMemGetAddressRange"])("at %s changes nothing", async (call) => {
    const { engine, weights } = await openBoth();
    const before = await logits(engine);
    const mappings = double?.counts().mappings;
    for (const nth of [1, 2]) {
      double?.arm({ call, nth, result: OUT_OF_MEMORY });
      expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "out_of_memory" });
      expect(double?.disarm()).toBe(true);
      expect(double?.counts().mappings).toBe(mappings);
    }
    expect(await logits(engine)).toEqual(before);
  });

  test("in the middle of the copy leaves no half weights to be read, and the next swap is whole", async () => {
    const { engine, weights } = await openBoth();
    const before = await logits(engine);
    double?.arm({ call: "cuMemcpyDtoDAsync", nth: 5, result: OUT_OF_MEMORY });
    const message = expect.stringContaining("its contents are undefined now");
    expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "out_of_memory", message });
    expect(await failure(() => engine.score(PROMPT))).toMatchObject({ code: "contents_undefined" });
    double?.disarm();
    await swap(engine, weights);
    expect(await logits(engine)).toEqual(before.map((value) => -value));
  });
});

const hasPython = spawnSync("python3", ["--version"]).status === 0;
const noExample = ON_CARD ? "on a card it is sharing-pytorch.test.ts" : hasPython ? undefined : "no Python";
describe.skipIf(noExample !== undefined)(
  `the example${noExample === undefined ? "" : ` (skipped: ${noExample})`}`,
  () => {
    // Tensors as PyTorch has them, as far as the example looks.
    const script = `
import ctypes, json, os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from hand_over_weights import hand_over
driver = ctypes.CDLL(os.environ["TIDELINE_CUDA_DRIVER"])
context, stream = ctypes.c_void_p(), ctypes.c_void_p()
driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
driver.cuCtxPushCurrent_v2(context)
driver.cuStreamCreate(ctypes.byref(stream), 1)
data, table = open(sys.argv[2], "rb").read(), json.loads(sys.argv[3])
address = ctypes.c_uint64()
assert driver.cuMemAlloc_v2(ctypes.byref(address), ctypes.c_size_t(len(data))) == 0
assert driver.cuMemcpyHtoDAsync_v2(address, data, ctypes.c_size_t(len(data)), stream) == 0
class Tensor:
    dtype, device = "torch.float32", type("Device", (), {"index": 0})
    def __init__(self, view):
        self.shape, self.nbytes, self.place = view["shape"], view["bytes"], address.value + view["offset"]
    def data_ptr(self):
        return self.place
    def is_contiguous(self):
        return True
hand_over(((view["name"], Tensor(view)) for view in table), sys.argv[4])
print("described", flush=True)
sys.stdin.read()
`;

    test("describes tensors so that they arrive", async () => {
      const { engine } = await openEngine({ deviceName: "cuda:0" });
      const before = await logits(engine);
      const negated = await negatedCheckpoint(await openFixture("tiny-llama-gqa"), folder);
      const { file, split, tensors } = await layOut(negated, folder);
      const out = join(folder, "weights.json");
      const whole = tensors.map((view) => ({ ...view, offset: view.offset + (view.allocation === 0 ? 0 : split) }));
      const trainer = startTrainer("python3", ["-c", script, EXAMPLES, file, JSON.stringify(whole), out]);
      expect(await trainer.line()).toBe("described");
      expect(statSync(out).mode & 0o777).toBe(0o600);
      expect(readdirSync(folder).filter((name) => name.includes("partial"))).toEqual([]);
      const weights = parseHandedOver(readFileSync(out, "utf8"), out);
      expect(weights.allocations).toHaveLength(1);
      await swap(engine, weights);
      expect(await logits(engine)).toEqual(before.map((value) => -value));
    });
  },
);

// The last: a lost device stays lost in this process until all has been closed.
test.skipIf(ON_CARD)(`a device that is lost meanwhile is reported as such${onDemand}`, async () => {
  const { engine, weights } = await openBoth();
  double?.arm({ call: "cuIpcOpenMemHandle", nth: 2, result: ILLEGAL_ADDRESS, sticky: true });
  expect(await failure(() => swap(engine, weights))).toMatchObject({ code: "device_lost" });
});
