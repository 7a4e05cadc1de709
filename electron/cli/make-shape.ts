/** `tideline make-shape`: a checkpoint of a real model's size with made-up weights, where its memory and speed are wanted. */
import { type Command, Option } from "commander";
import { parseConfig } from "../../core/checkpoint/config.ts";
import { configNamed } from "../../core/planner/models/catalogue.ts";
import { formatBytes } from "../../core/units.ts";
import { CONFIG_FILE } from "../session/checkpoint.ts";
import { SHAPE_DTYPES, type ShapeDType, writeShapeCheckpoint } from "../synthetic/shape-checkpoint.ts";
import { readModelFile } from "./model-option.ts";
import { interruption, wholeOption } from "./options.ts";

interface MakeShapeOptions {
  readonly like: string;
  readonly out: string;
  readonly dtype: ShapeDType;
  readonly seed: number;
}

export function addMakeShape(program: Command): void {
  program
    .command("make-shape")
    .description(
      "write a checkpoint of a real model's shape with random weights, for any role, and a tokenizer of bytes",
    )
    .requiredOption("--like <model>", `a name of the catalogue (\`tideline estimate --help\`), or a ${CONFIG_FILE}`)
    .requiredOption("--out <dir>", "a new folder for it")
    .addOption(new Option("--dtype <dtype>", "of its weights").choices(SHAPE_DTYPES).default("bfloat16"))
    .option("--seed <s>", "same seed: same weights", wholeOption(0), 0)
    .addHelpText("after", "\nExamples:\n  tideline make-shape --like Qwen2.5-0.5B --out shapes/qwen2.5-0.5b")
    .action(makeShape);
}

async function makeShape({ like, out, dtype, seed }: MakeShapeOptions): Promise<void> {
  const { text, file } = (await readModelFile(like)) ?? {
    text: JSON.stringify(configNamed(like, "--like")),
    file: like,
  };
  const config = parseConfig(text, file);
  const signal = interruption();
  const bytes = await writeShapeCheckpoint({ folder: out, config, dtype, seed, signal, onProgress: showProgress });
  process.stderr.write("\r");
  process.stdout.write(`${out}: ${formatBytes(bytes)} of ${dtype} weights shaped like ${like}\n`);
}

function showProgress(doneBytes: number, totalBytes: number): void {
  if (process.stderr.isTTY) process.stderr.write(`\r${formatBytes(doneBytes)} of ${formatBytes(totalBytes)} `);
}
