/** `tideline generate`: one prompt through the engine, without a window. */
import type { Command } from "commander";
import { TidelineError } from "../../core/errors.ts";
import { MIB } from "../../core/units.ts";
import type { GenerationEvent, Sampling } from "../../native/addon.d.ts";
import { loadAddon } from "../session/addon.ts";
import { type Checkpoint, openCheckpoint } from "../session/checkpoint.ts";
import { NativeBackend } from "../session/native-backend.ts";
import { deviceChoices } from "../session/native-observation.ts";
import { backupsPath, surroundings } from "../session/paths.ts";
import { encodePrompt, openTokenizer } from "../session/tokenizer.ts";
import { deviceNamed } from "./devices.ts";
import { INTERRUPTED, idsOption, interruption, numberOption, UsageError, wholeOption } from "./options.ts";

interface GenerateOptions {
  readonly checkpoint: string;
  readonly prompt?: string;
  readonly promptIds?: number[];
  readonly maxNew: number;
  readonly greedy?: true;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
  readonly seed?: number;
  readonly device: string;
  readonly json?: true;
}

export function addGenerate(program: Command): void {
  program
    .command("generate")
    .description("generate from a checkpoint; the text streams to stdout")
    .requiredOption("--checkpoint <dir>", "a Hugging Face folder: config.json and *.safetensors")
    .option("--prompt <text>", "the prompt as text (needs tokenizer.json in the folder)")
    .option("--prompt-ids <ids>", "the prompt as token ids: 1,2,3", idsOption)
    .option("--max-new <n>", "most tokens to generate", wholeOption(1), 64)
    .option("--greedy", "always the most likely token")
    .option("--temperature <t>", "how much chance decides (default 1)", numberOption(0, 100))
    .option(
      "--top-p <p>",
      "only the likeliest tokens that make up p (default 1: off)",
      numberOption(Number.MIN_VALUE, 1),
    )
    .option("--top-k <k>", "only the k likeliest tokens (default 0: off)", wholeOption(0))
    .option("--seed <s>", "same seed, prompt and weights: same tokens (default 0)", wholeOption(0))
    .option("--device <name>", "where it computes: host or cuda:0", "host")
    .option("--json", "one object with ids, text, logprobs and tokensPerSecond instead of a stream")
    .addHelpText(
      "after",
      `
Examples:
  tideline generate --checkpoint assets/demo --prompt "The tide"
  tideline generate --checkpoint assets/demo --prompt-ids 1,2,3 --greedy --json
  tideline generate --checkpoint ~/models/qwen --device cuda:0 --prompt "Hello" --temperature 0.7 --top-p 0.9 --seed 7`,
    )
    .action(generate);
}

async function generate(options: GenerateOptions): Promise<void> {
  if ((options.prompt === undefined) === (options.promptIds === undefined)) {
    throw new UsageError("give either --prompt or --prompt-ids");
  }
  const sampling = samplingOf(options);
  const checkpoint = await openCheckpoint(options.checkpoint);
  const tokenizer = await openTokenizer(checkpoint);
  const promptIds = options.promptIds ?? encodePrompt(tokenizer, options.prompt ?? "");
  const stopped = interruption();
  const backend = openDevice(options.device, checkpoint, promptIds.length + options.maxNew);
  try {
    await backend.open(checkpoint, { signal: stopped, progress: () => {} });
    const stream = tokenizer?.stream();
    const ids: number[] = [];
    const logprobs: number[] = [];
    let text = "";
    const show = (piece: string) => {
      text += piece;
      if (!options.json) process.stdout.write(piece);
    };
    const end = await runToEnd(backend, { promptIds, sampling, maxNewTokens: options.maxNew }, stopped, (event) => {
      ids.push(event.tokenId);
      logprobs.push(event.logprob);
      show(stream ? stream.push(event.tokenId) : `${ids.length > 1 ? " " : ""}${event.tokenId}`);
    });
    show(stream?.end() ?? "");
    const tokensPerSecond = end.decodeSeconds > 0 ? Math.max(0, end.newTokens - 1) / end.decodeSeconds : 0;
    if (options.json) {
      const { reason, prefillSeconds, decodeSeconds } = end;
      const answer = { promptIds, ids, text, logprobs, reason, prefillSeconds, decodeSeconds, tokensPerSecond };
      process.stdout.write(`${JSON.stringify(answer)}\n`);
    } else {
      process.stdout.write("\n");
      process.stderr.write(`${end.newTokens} tokens, ${tokensPerSecond.toFixed(1)} tokens/s, ended by ${end.reason}\n`);
    }
    if (end.reason === "cancelled") process.exitCode = INTERRUPTED;
  } finally {
    await backend.close();
  }
}

function samplingOf({ greedy, temperature, topP, topK, seed }: GenerateOptions): Sampling {
  if (greedy && (temperature ?? topP ?? topK) !== undefined) {
    throw new UsageError("--greedy leaves nothing to chance: give it without --temperature, --top-p and --top-k");
  }
  return { temperature: greedy ? 0 : (temperature ?? 1), topP: topP ?? 1, topK: topK ?? 0, seed: seed ?? 0 };
}

/** A device with a KV cache for this many tokens, and no other limit than its memory. */
function openDevice(name: string, { config }: Checkpoint, tokens: number): NativeBackend {
  const addon = loadAddon();
  const { totalBytes: capacityBytes } = deviceNamed(name, deviceChoices(addon));
  // Keys and values of every layer in float32, in whole blocks of 16 tokens, and one block to spare.
  const tokenBytes = config.layers * 2 * config.kvHeads * config.headDim * 4;
  const blocks = Math.ceil(Math.min(tokens, config.maxPositions) / 16) + 1;
  const kvCacheBytes = Math.max(MIB, blocks * 16 * tokenBytes);
  const settings = { device: name, capacityBytes, kvCacheBytes, samplingHertz: 10 };
  return new NativeBackend(addon, settings, backupsPath(surroundings()));
}

type TokenEvent = Extract<GenerationEvent, { type: "token" }>;
type FinishedEvent = Extract<GenerationEvent, { type: "finished" }>;

/** Resolves with the end of the request; rejects with its error. */
function runToEnd(
  backend: NativeBackend,
  request: { readonly promptIds: readonly number[]; readonly sampling: Sampling; readonly maxNewTokens: number },
  stopped: AbortSignal,
  onToken: (event: TokenEvent) => void,
): Promise<FinishedEvent> {
  return new Promise((resolve, reject) => {
    const take = (event: GenerationEvent) => {
      if (event.type === "token") onToken(event);
      else if (event.type === "finished") resolve(event);
      else reject(Object.assign(new Error(event.error.message), event.error));
    };
    backend
      .generate([request], (events) => events.forEach(take))
      .then((generation) => {
        const cancel = () => void backend.cancel(generation).catch(reject);
        stopped.addEventListener("abort", cancel, { once: true });
        if (stopped.aborted) throw new TidelineError({ code: "cancelled", message: "cancelled before it began" });
      })
      .catch(reject);
  });
}
