/**
 * One engine with a checkpoint in it, for the golden runner: opened, asked for logits and greedy tokens, closed.
 */

import { TidelineError, toErrorData } from "../../core/errors.ts";
import type { NativeDevice, NativeEngine, NativeModel, TensorSource, TidelineAddon } from "../../native/addon.d.ts";
import { type Closable, closeAfter } from "../ppo/closing.ts";
import type { Checkpoint } from "../session/checkpoint.ts";
import type { Computed } from "./compare.ts";
import type { Golden, GoldenPrompt } from "./golden-file.ts";

/** Room beside weights and cache: the engine's workspace, and whole chunks of the device. */
const SPARE_BYTES = 2 ** 30;
const BYTES_PER_FLOAT = 4;

/** The engine with `checkpoint` loaded, cache and workspace resumed, on a device of its own. */
export class EngineRun {
  readonly engine: NativeEngine;
  private readonly addon: TidelineAddon;
  private readonly device: NativeDevice;
  private readonly checkpoint: Checkpoint;

  private constructor(addon: TidelineAddon, device: NativeDevice, engine: NativeEngine, checkpoint: Checkpoint) {
    this.addon = addon;
    this.device = device;
    this.engine = engine;
    this.checkpoint = checkpoint;
  }

  /** @throws whatever the addon throws; nothing stays open then. */
  static async open(
    addon: TidelineAddon,
    deviceName: string,
    checkpoint: Checkpoint,
    golden: Golden,
  ): Promise<EngineRun> {
    const { config, dtype, tensors } = checkpoint;
    const kvCacheBytes = cacheBytes(checkpoint, golden);
    // Twice the weights: those in use, and another model's to swap with.
    const capacityBytes = 2 * addon.weightBytes(config, dtype) + kvCacheBytes + SPARE_BYTES;
    const device = addon.openDevice({ name: deviceName, capacityBytes });
    const opened: Closable[] = [device];
    try {
      const model = addon.createModel(device, { config, dtype, consumer: "engine.weights" });
      opened.push(model);
      await model.load(tensors);
      const engine = addon.createEngine(device, model, { kvCacheBytes });
      // It has taken the model over.
      opened.splice(1, 1, engine);
      await engine.resume("kv_cache");
      await engine.resume("workspace");
      return new EngineRun(addon, device, engine, checkpoint);
    } catch (error) {
      return closeAfter(error, opened);
    }
  }

  async close(): Promise<void> {
    await this.engine.close();
    await this.device.close();
  }

  /** Another model of the same shape on the same device. */
  async loadModel(tensors: readonly TensorSource[]): Promise<NativeModel> {
    const { config, dtype } = this.checkpoint;
    const model = this.addon.createModel(this.device, { config, dtype, consumer: "policy.weights" });
    try {
      await model.load(tensors);
      return model;
    } catch (error) {
      return closeAfter(error, [model]);
    }
  }

  async lastLogits(prompt: readonly number[]): Promise<Float32Array> {
    return (await this.engine.score(prompt)).lastLogits;
  }

  /** Everything that is compared, for every prompt; the greedy tokens come from one batch of all prompts. */
  async compute(prompts: readonly GoldenPrompt[]): Promise<readonly Computed[]> {
    const greedy = await this.generateGreedy(prompts);
    const computed: Computed[] = [];
    for (const [index, { prompt }] of prompts.entries()) {
      const { lastLogits, logprobs } = await this.engine.score(prompt);
      computed.push({ lastLogits, promptLogprobs: logprobs, greedy: greedy[index] ?? [] });
    }
    return computed;
  }

  private generateGreedy(prompts: readonly GoldenPrompt[]): Promise<readonly Computed["greedy"][]> {
    const tokens: { tokenId: number; logprob: number }[][] = prompts.map(() => []);
    const requests = prompts.map(({ prompt, greedy }) => ({
      promptIds: prompt,
      maxNewTokens: greedy.length,
      sampling: { temperature: 0, topK: 0, topP: 1, seed: 0 },
      stopTokenIds: [],
    }));
    return new Promise((resolve, reject) => {
      let unfinished = prompts.length;
      this.engine.generate(requests, (events) => {
        for (const event of events) {
          if (event.type === "token") tokens[event.index]?.push(event);
          else if (event.type === "error") reject(new TidelineError(toErrorData(event.error)));
          else if (--unfinished === 0) resolve(tokens);
        }
      });
    });
  }
}

/** Room for every prompt and its continuation at once, each in whole blocks, and for one more to be scored. */
function cacheBytes({ config }: Checkpoint, golden: Golden): number {
  const blockTokens = 16;
  const bytesPerToken = 2 * config.layers * config.kvHeads * config.headDim * BYTES_PER_FLOAT;
  const tokens = golden.cases.map(({ prompt, greedy }) => prompt.length + greedy.length + blockTokens);
  return (tokens.reduce((sum, count) => sum + count, 0) + Math.max(...tokens)) * bytesPerToken;
}
