/** The golden runner on a PPO update that PyTorch computed: it passes, and it fails as soon as the truth says otherwise. */
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runGolden } from "../../electron/golden/run.ts";
import { readHeader } from "../../electron/session/checkpoint.ts";
import { addon, testDevice, withFolder } from "../native/support.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures");
const NAME = "ppo-step-llama";

async function run(folder: string) {
  const lines: string[] = [];
  const options = { json: false, device: testDevice() };
  const totals = await runGolden([folder], options, { addon, write: (line) => lines.push(line) });
  return { totals, failures: lines.filter((line) => line.includes("FAIL")) };
}

test("every stage passes", async () => {
  expect(await run(join(FIXTURES, "ppo"))).toEqual({ totals: { passed: 1, failed: 0, skipped: 0 }, failures: [] });
});

test.each([
  ["policy_grad", "model.layers.1.self_attn.k_proj.weight", "policy"],
  ["critic_grad", "value_head.weight", "critic"],
  ["policy_after_step", "model.embed_tokens.weight", "policy"],
])("a %s that is off by a thousandth fails, and names the tensor", async (file, tensor, role) => {
  await withFolder(async (root) => {
    const folder = join(root, "ppo", NAME);
    await cp(join(FIXTURES, "ppo", NAME), folder, { recursive: true });
    await cp(join(FIXTURES, "checkpoints/tiny-llama-gqa"), join(root, "checkpoints/tiny-llama-gqa"), {
      recursive: true,
    });
    await scaleTensor(join(folder, `${file}.safetensors`), tensor, 1.001);
    const { totals, failures } = await run(folder);
    expect(totals).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(failures.length).toBeGreaterThan(0);
    for (const failure of failures) {
      expect(failure).toContain(`${role}, `);
      expect(failure).toContain(tensor);
    }
  });
});

async function scaleTensor(file: string, tensor: string, factor: number): Promise<void> {
  const entry = (await readHeader(file)).find(({ name }) => name === tensor);
  if (entry === undefined) throw new Error(`${file} has no ${tensor}`);
  const bytes = await readFile(file);
  for (let at = entry.offset; at < entry.offset + entry.bytes; at += 4) {
    bytes.writeFloatLE(bytes.readFloatLE(at) * factor, at);
  }
  await writeFile(file, bytes);
}
