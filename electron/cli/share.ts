/** `tideline share`: lends a checkpoint's weights on a GPU to processes of this user, until it is stopped. */
import { once } from "node:events";
import type { Command } from "commander";
import { mappedBy } from "../../core/loan.ts";
import { formatBytes } from "../../core/units.ts";
import { loadAddon } from "../session/addon.ts";
import { cancellationOf } from "../session/cancellation.ts";
import { openCheckpoint } from "../session/checkpoint.ts";
import { type OpenLoan, openLoan } from "../session/loans.ts";
import { interruption } from "./options.ts";

interface ShareOptions {
  readonly checkpoint: string;
  readonly socket: string;
  readonly device: string;
}

/** Some rounding up to whole chunks. */
const SPARE_BYTES = 2 ** 30;

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
  let loan: OpenLoan | undefined;
  try {
    await model.load(tensors, { cancellation: cancellationOf(addon, stopped) });
    loan = await openLoan(model, socket, (changed) => process.stdout.write(`${mappedBy(changed)}\n`));
    const what = `${checkpointName} (${formatBytes(bytes)} in ${dtype}) on ${name}`;
    process.stdout.write(`${what} is lent at ${loan.observe().path}; Ctrl-C ends that\n`);
    if (!stopped.aborted) await once(stopped, "abort");
  } finally {
    await loan?.close();
    await model.close();
    await device.close();
  }
}
