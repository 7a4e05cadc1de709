/** `tideline share`: lends a checkpoint's weights on a GPU to processes of this user, until it is stopped. */
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Command } from "commander";
import { formatBytes } from "../../core/units.ts";
import type { NativeSharing } from "../../native/addon.d.ts";
import { loadAddon } from "../session/addon.ts";
import { openCheckpoint } from "../session/checkpoint.ts";
import { interruption } from "./options.ts";

interface ShareOptions {
  readonly checkpoint: string;
  readonly socket: string;
  readonly device: string;
}

/** Some rounding up to whole chunks. */
const SPARE_BYTES = 2 ** 30;
const LOOK_MS = 200;

export function addShare(program: Command): void {
  program
    .command("share")
    .description("load a checkpoint onto a GPU and let other processes of this user map its weights, until Ctrl-C")
    .requiredOption("--checkpoint <dir>", "a Hugging Face folder: config.json and *.safetensors")
    .requiredOption("--socket <path>", "the Unix socket to make, in a folder of your own")
    .option("--device <name>", "cuda:0", "cuda:0")
    .addHelpText(
      "after",
      `
Examples:
  tideline share --checkpoint ~/models/qwen --socket /run/user/1000/weights.sock
  python3 assets/examples/shared_weights.py /run/user/1000/weights.sock    # in another terminal: lists its tensors`,
    )
    .action(share);
}

async function share({ checkpoint: folder, socket, device: name }: ShareOptions): Promise<void> {
  const { config, dtype, tensors, name: checkpointName } = await openCheckpoint(folder);
  const stopped = interruption();
  const addon = loadAddon();
  const bytes = addon.weightBytes(config, dtype);
  const device = addon.openDevice({ name, capacityBytes: bytes + SPARE_BYTES });
  const model = addon.createModel(device, { config, dtype, consumer: "policy.weights" });
  const path = resolve(socket);
  let sharing: NativeSharing | undefined;
  try {
    await model.load(tensors);
    sharing = model.share({ path });
    const what = `${checkpointName} (${formatBytes(bytes)} in ${dtype}) on ${name}`;
    process.stdout.write(`${what} is lent at ${path}; Ctrl-C ends that\n`);
    await tellBorrowers(sharing, stopped);
  } finally {
    await sharing?.close();
    await model.close();
    await device.close();
  }
}

/** Says whenever another number of processes has it mapped. */
async function tellBorrowers(sharing: NativeSharing, stopped: AbortSignal): Promise<void> {
  let told = 0;
  while (!stopped.aborted) {
    const { borrowers } = sharing.observe();
    if (borrowers !== told) process.stdout.write(`mapped by ${borrowers} process${borrowers === 1 ? "" : "es"}\n`);
    told = borrowers;
    await sleep(LOOK_MS, undefined, { signal: stopped }).catch(() => undefined);
  }
}
