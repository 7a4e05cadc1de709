/** The memory model against measurements, and the runner against itself: a comparison that cannot fail proves nothing. */
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runGolden } from "../../electron/golden/run.ts";
import { loadAddon } from "../../electron/session/addon.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures/memory");
const STEPS = "h100-pytorch-measured.json";
const POOLS = "sglang-kv-pool.json";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tideline-memory-test-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function run(path: string) {
  const lines: string[] = [];
  const totals = await runGolden([path], { json: true }, { addon: loadAddon(), write: (line) => lines.push(line) });
  return { totals, stages: lines.slice(0, -1).map((line) => JSON.parse(line)) };
}

test("every measured stage within 5 %, the median within 2 %, reserved in its band, pools within 0.3 %", async () => {
  const { totals, stages } = await run(FIXTURES);
  expect(stages.filter(({ passed }) => !passed)).toEqual([]);
  expect(totals).toEqual({ passed: 1, failed: 0, skipped: 0 });
  const tolerances = new Map(stages.map(({ stage, tolerance }) => [stage, tolerance]));
  expect(tolerances.get("Llama-2-7B train 1×1024, checkpointing")).toBe(0.05);
  expect(tolerances.get("median of all stages")).toBe(0.02);
  expect(tolerances.get("reserved within its band")).toBe(0.25);
  expect(tolerances.get("SGLang pool S4, QwQ-32B")).toBe(0.003);
});

async function changed(name: string, file: string, change: (row: Record<string, unknown>) => void) {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  const truth = JSON.parse(await readFile(join(FIXTURES, file), "utf8"));
  change(truth.rows[0]);
  await writeFile(join(path, file), JSON.stringify({ ...truth, rows: truth.rows.slice(0, 1) }));
  const { totals, stages } = await run(path);
  expect(totals).toEqual({ passed: 0, failed: 1, skipped: 0 });
  return stages.find(({ passed }) => !passed)?.detail;
}

test("a stage that was measured 6 % higher fails, by name", async () => {
  const detail = await changed("higher", STEPS, (row) => {
    row.score = { peak_allocated_mib: 2465.8 * 1.08 };
  });
  expect(detail).toContain("score.peak_allocated_mib is 24");
});

test("reserved memory out of its band fails", async () => {
  const detail = await changed("reserved", STEPS, (row) => {
    row.score = { peak_allocated_mib: 2465.8, peak_reserved_mib: 3000 };
  });
  expect(detail).toContain("score.peak_reserved_mib is 3000, predicted");
});

test("another number of parameters fails, and so does a stage that is not predicted", async () => {
  expect(
    await changed("parameters", STEPS, (row) => {
      row.parameters = 494_032_769;
    }),
  ).toBe("494032768 parameters, measured 494032769");
  expect(
    await changed("unknown-stage", STEPS, (row) => {
      row.score = { dreamt_allocated_mib: 1 };
    }),
  ).toContain("score.dreamt_allocated_mib is undefined");
});

test("a pool of 0.4 % more tokens fails", async () => {
  expect(
    await changed("pool", POOLS, (row) => {
      row.tokens = 446_300;
    }),
  ).toContain("measured 446300");
});

test("a model that is not in the catalogue comes with its config, or fails by name", async () => {
  expect(
    await changed("unknown", STEPS, (row) => {
      row.model = "nobody/knows-it";
    }),
  ).toContain('there is no "nobody/knows-it" in the catalogue');
  const path = join(folder, "own-config");
  await mkdir(path);
  const truth = JSON.parse(await readFile(join(FIXTURES, STEPS), "utf8"));
  const config = {
    model_type: "qwen2",
    hidden_size: 896,
    intermediate_size: 4864,
    num_hidden_layers: 24,
    num_attention_heads: 14,
    num_key_value_heads: 2,
    vocab_size: 151_936,
    tie_word_embeddings: true,
  };
  await writeFile(join(path, STEPS), JSON.stringify({ rows: [{ ...truth.rows[0], model: "mine", config }] }));
  expect((await run(path)).totals).toEqual({ passed: 1, failed: 0, skipped: 0 });
});

test("a snapshot alone is skipped, not passed", async () => {
  const path = join(folder, "snapshot");
  await mkdir(path);
  const name = "torch-snapshot-qwen2-tiny.pickle";
  await copyFile(join(FIXTURES, name), join(path, name));
  const { totals, stages } = await run(path);
  expect(totals).toEqual({ passed: 0, failed: 0, skipped: 1 });
  expect(stages).toEqual([{ case: "snapshot", note: "skipped (nothing in it is predicted)" }]);
});
