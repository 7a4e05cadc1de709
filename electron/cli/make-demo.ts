/** `tideline make-demo`: makes the checkpoints that the demo of the PPO loop starts from. */
import type { Command } from "commander";
import { makeDemo } from "../ppo/demo/make-demo.ts";
import { loadAddon } from "../session/addon.ts";
import { wholeOption } from "./options.ts";

interface MakeDemoOptions {
  readonly out: string;
  readonly seed: number;
}

export function addMakeDemo(program: Command): void {
  program
    .command("make-demo")
    .description("train the small models that the demo of the PPO loop starts from (a minute or two)")
    .requiredOption("--out <dir>", "a new folder for them")
    .option("--seed <s>", "same seed: same models", wholeOption(0), 2583)
    .addHelpText("after", "\nExamples:\n  tideline make-demo --out assets/demo-ppo")
    .action(async ({ out, seed }: MakeDemoOptions) => {
      await makeDemo(loadAddon(), { folder: out, seed, onProgress: (line) => process.stdout.write(`${line}\n`) });
    });
}
