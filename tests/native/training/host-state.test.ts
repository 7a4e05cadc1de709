/** An optimizer's state that stays on the host: updates pass it through the device, and leave the bits they would there. */
import { expect, test } from "vitest";
import { failure } from "../support.ts";
import { CONFIGS, type OpenOptions, openTrainer, sequences, weightsOf } from "./support.ts";

const CONFIG = CONFIGS.qwen3;
const GIVEN = sequences(CONFIG.vocabSize, [30, 7, 19]);
const STEPS = 4;

type Place = "device" | "host";

/** The weights after some updates, with the state in one place or the other for each. */
async function learned(options: OpenOptions, places: readonly Place[]) {
  const { model, trainer } = await openTrainer({ config: CONFIG, microBatch: 3, sequenceTokens: 32, ...options });
  await trainer.release("optimizer", { mode: "discard" });
  const [first] = places;
  await (first === "host" ? trainer.keepOptimizerOnHost() : trainer.resume("optimizer"));
  let place = first;
  for (const next of places) {
    if (next !== place) {
      await (next === "host" ? trainer.release("optimizer", { mode: "host" }) : trainer.resume("optimizer"));
    }
    place = next;
    await trainer.languageStep(GIVEN);
    await trainer.optimizerStep({ learningRate: 1e-2, weightDecay: 0.1 });
  }
  const seen = trainer.observe().find(({ tag }) => tag === "optimizer");
  expect(seen).toMatchObject(
    place === "host"
      ? { residency: "host", contents: "defined", committedBytes: 0, backup: { where: "host", clean: true } }
      : { residency: "resident", contents: "defined" },
  );
  return weightsOf(model);
}

const ON_DEVICE = Array.from({ length: STEPS }, (): Place => "device");

const IN_16_BITS: OpenOptions = { gradientDtype: "bfloat16", momentDtype: "bfloat16" };

test.each<[string, OpenOptions]>([
  ["float32", {}],
  ["bfloat16", { dtype: "bfloat16" }],
  ["bfloat16 with master weights", { dtype: "bfloat16", masterWeights: true }],
  ["float32, with bfloat16 moments", { momentDtype: "bfloat16" }],
  ["bfloat16, with bfloat16 gradients and moments", { dtype: "bfloat16", ...IN_16_BITS }],
  ["bfloat16 with master weights and bfloat16 moments", { dtype: "bfloat16", masterWeights: true, ...IN_16_BITS }],
])("updates of %s weights are the same bits wherever the state is", async (_name, options) => {
  const expected = await learned(options, ON_DEVICE);
  expect(
    await learned(
      options,
      ON_DEVICE.map(() => "host"),
    ),
  ).toEqual(expected);
  expect(await learned(options, ["host", "device", "host", "host"])).toEqual(expected);
  expect(await learned(options, ["device", "host", "device", "device"])).toEqual(expected);
});

test("is taken once, where nothing is, and is lost when it is discarded", async () => {
  const { trainer } = await openTrainer({ config: CONFIG, sequenceTokens: 32 });
  expect(await failure(() => trainer.keepOptimizerOnHost())).toMatchObject({ code: "already_resident" });
  await trainer.release("optimizer", { mode: "discard" });
  expect(await trainer.keepOptimizerOnHost()).toMatchObject({ action: "resume", method: "host", bytesCommitted: 0 });
  expect(await failure(() => trainer.keepOptimizerOnHost())).toMatchObject({ code: "already_released" });
  await trainer.languageStep(GIVEN);
  await trainer.optimizerStep({ learningRate: 1e-3 });
  await trainer.release("optimizer", { mode: "discard" });
  await trainer.keepOptimizerOnHost();
  await trainer.languageStep(GIVEN);
  expect(await failure(() => trainer.optimizerStep({ learningRate: 1e-3 }))).toMatchObject({
    code: "contents_undefined",
  });
  await trainer.resetOptimizer();
  await trainer.languageStep(GIVEN);
  expect(await trainer.optimizerStep({ learningRate: 1e-3 })).toMatchObject({ step: 1 });
});
