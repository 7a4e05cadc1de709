/** An engine and a trainer on the double of a GPU, for tests of what is left when a call of its libraries fails. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { TrainerLimits } from "../../../native/addon.d.ts";
import type { CudaDouble } from "../cuda-double/cuda-double.ts";
import { type Fixture, openFixture } from "../engine/support.ts";
import { addon } from "../support.ts";
import { ALL_TAGS, sequences } from "../training/support.ts";

/**
 * A checkpoint of the fixtures with some of its golden cases, in the double's folder: each takes seconds there, and those of
 * all checkpoints are of the same four lengths.
 */
export function someGoldenCases(double: CudaDouble, name: Fixture, cases: readonly number[]): string {
  const from = join(import.meta.dirname, "../../fixtures/checkpoints", name);
  const folder = join(double.folder, name);
  cpSync(from, folder, { recursive: true });
  const file = join(folder, "golden.json");
  const golden = JSON.parse(readFileSync(file, "utf8"));
  writeFileSync(file, JSON.stringify({ ...golden, cases: cases.map((index) => golden.cases[index]) }));
  return folder;
}

/** A model on the double, its engine or its trainer; all are closed when the test is over. */
async function openModel(double: CudaDouble, consumer: string, name: string = "cuda:0") {
  const checkpoint = await openFixture("tiny-llama-gqa");
  const device = addon.openDevice({ name, capacityBytes: 256 * MIB });
  const { config, dtype } = checkpoint;
  const model = addon.createModel(device, { config, dtype, consumer });
  const closing = [() => device.close()];
  onTestFinished(async () => {
    double.disarm();
    for (const close of closing.reverse()) await close();
  });
  await model.load(checkpoint.tensors);
  return { device, model, config, closing };
}

export async function openEngine(double: CudaDouble) {
  const { device, model, closing } = await openModel(double, "engine.weights");
  // Once it is made, the engine closes the model.
  const owners: { close(): Promise<void> }[] = [model];
  closing.push(async () => owners.at(-1)?.close());
  const engine = addon.createEngine(device, model, { kvCacheBytes: 4 * MIB });
  owners.push(engine);
  await engine.resume("kv_cache");
  await engine.resume("workspace");
  return engine;
}

/** @param name of its device, which may be the host. */
export async function openTrainer(double: CudaDouble, limits: TrainerLimits = {}, name?: string) {
  const { device, model, config, closing } = await openModel(double, "policy.weights", name);
  closing.push(() => model.close());
  const trainer = addon.createTrainer(device, { model, consumerPrefix: "policy", sequenceTokens: 32, ...limits });
  closing.push(() => trainer.close());
  for (const tag of ALL_TAGS) await trainer.resume(tag);
  return { model, trainer, batch: sequences(config.vocabSize, [9, 17]) };
}
