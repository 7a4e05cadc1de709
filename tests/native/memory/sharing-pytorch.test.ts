/**
 * The examples of docs/share-weights.md on a real card: PyTorch in another process computes with a model's weights where
 * they lie, and hands over its own. Without a card, or without PyTorch, it says that it was skipped; the protocols are tested
 * in sharing.test.ts and ../engine/hand-over.test.ts.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { ForeignWeights } from "../../../native/addon.d.ts";
import { negatedCheckpoint, openEngine, openFixture } from "../engine/support.ts";
import { addon, DEVICE_NAME, withFolder } from "../support.ts";

const PYTHON = `
import hashlib, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
import torch
from shared_weights import SharedRegion
with SharedRegion(sys.argv[2]) as region:
    tensors = region.tensors()
    for name, tensor in tensors.items():
        data = tensor.reshape(-1).view(torch.uint8).cpu().numpy().tobytes()
        print(name, hashlib.sha256(data).hexdigest())
    tensors["model.norm.weight"].fill_(2)
    torch.cuda.synchronize()
    print("written", flush=True)
    sys.stdin.readline()
    del tensors, tensor
`;

const EXAMPLES = join(import.meta.dirname, "../../../assets/examples");
const problem = missing();

function missing(): string | undefined {
  if (!DEVICE_NAME.startsWith("cuda:")) return "TIDELINE_DEVICE names no GPU";
  const torch = spawnSync("python3", ["-c", "import torch; assert torch.cuda.is_available()"]);
  return torch.status === 0 ? undefined : "no PyTorch that sees a GPU";
}

describe.skipIf(problem !== undefined)(`PyTorch${problem === undefined ? "" : ` (skipped: ${problem})`}`, () => {
  test("reads and writes a model's weights where they lie", () =>
    withFolder(async (folder) => {
      const { config, tensors } = await openFixture("tiny-llama-gqa");
      const device = addon.openDevice({ name: DEVICE_NAME, capacityBytes: 256 * MIB, chunkBytes: 2 * MIB });
      const model = addon.createModel(device, { config, dtype: "bfloat16", consumer: "engine.weights" });
      await model.load(tensors);
      const expected: string[] = [];
      for (const { name } of model.tensors()) {
        expected.push(
          `${name} ${createHash("sha256")
            .update(await model.readTensor(name))
            .digest("hex")}`,
        );
      }
      const path = join(folder, "weights.sock");
      const sharing = model.share({ path });
      const python = spawn("python3", ["-c", PYTHON, EXAMPLES, path], { stdio: ["pipe", "pipe", "inherit"] });
      const ended = once(python, "exit");
      const lines: string[] = [];
      for await (const line of createInterface({ input: python.stdout })) {
        if (line === "written") break;
        lines.push(line);
      }
      expect(lines).toEqual(expected);
      // 2 in bfloat16.
      const norm = await model.readTensor("model.norm.weight");
      expect(new Set(new Uint16Array(norm.buffer, norm.byteOffset, norm.byteLength / 2))).toEqual(new Set([0x4000]));
      await expect(model.release({ mode: "discard" })).rejects.toMatchObject({ code: "shared" });
      python.stdin.end("\n");
      expect(await ended).toEqual([0, null]);
      await sharing.close();
      await model.close();
      await device.close();
    }));

  test("hands over weights of its own, which the engine has after one copy", () =>
    withFolder(async (folder) => {
      const { checkpoint, engine, createModel } = await openEngine();
      const negated = await negatedCheckpoint(checkpoint, folder);
      const python = spawn("python3", [join(EXAMPLES, "hand_over_weights.py"), folder], {
        stdio: ["pipe", "pipe", "inherit"],
      });
      const ended = once(python, "exit");
      const { value } = await createInterface({ input: python.stdout })[Symbol.asyncIterator]().next();
      const weights: ForeignWeights = JSON.parse(value);
      const bytesCopied = weights.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
      const receipt = await engine.swap({ source: { kind: "process", weights }, method: "auto", running: "refuse" });
      expect(receipt).toMatchObject({ method: "ipc", bytesCopied });
      python.stdin.end();
      expect(await ended).toEqual([0, null]);
      const expected = createModel("reference.weights");
      await expected.load(negated.tensors);
      for (const { name } of engine.tensors()) {
        expect(Buffer.compare(await engine.readTensor(name), await expected.readTensor(name)), name).toBe(0);
      }
    }));
});
