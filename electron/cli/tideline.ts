/**
 * The `tideline` command. Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C. Errors are a message and a
 * hint on stderr.
 */
import { Command, CommanderError } from "commander";
import { toErrorData } from "../../core/errors.ts";
import { withHint } from "../session/hints.ts";
import { productVersion, surroundings } from "../session/paths.ts";
import { addDoctor } from "./doctor.ts";
import { addEstimate } from "./estimate.ts";
import { addGenerate } from "./generate.ts";
import { addGolden } from "./golden.ts";
import { addMakeDemo } from "./make-demo.ts";
import { addMakeShape } from "./make-shape.ts";
import { addMeasureDevice } from "./measure-device.ts";
import { addMemoryCycle } from "./memory-cycle.ts";
import { INTERRUPTED, UsageError } from "./options.ts";
import { addPlan } from "./plan/command.ts";
import { addRun } from "./run/command.ts";
import { addServe } from "./serve.ts";
import { addShare } from "./share.ts";

const FAILED = 1;
const WRONG_USAGE = 2;

const program = new Command("tideline")
  .description(
    "A desktop debugger for GPU memory in PPO-style RLHF. `npm start` opens the app; these are its other doors.",
  )
  .version(productVersion(surroundings()))
  .showHelpAfterError("(--help says what can be given)")
  .exitOverride();

for (const add of [
  addGenerate,
  addEstimate,
  addGolden,
  addDoctor,
  addServe,
  addMemoryCycle,
  addMeasureDevice,
  addShare,
  addPlan,
  addRun,
  addMakeDemo,
  addMakeShape,
])
  add(program);

// `tideline generate … | head` is no failure: whoever reads has read enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

process.exitCode = await run();

async function run(): Promise<number> {
  try {
    await program.parseAsync();
    return Number(process.exitCode ?? 0);
  } catch (error) {
    // Commander has written its own message already; its exit code 0 is --help and --version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE;
    if (error instanceof UsageError) {
      process.stderr.write(`error: ${error.message}\n`);
      return WRONG_USAGE;
    }
    const { code, message, hint } = withHint(toErrorData(error));
    // Whoever stopped it knows.
    if (code === "cancelled") return INTERRUPTED;
    process.stderr.write(`error: ${message}\n${hint === undefined ? "" : `hint: ${hint}\n`}`);
    return FAILED;
  }
}
