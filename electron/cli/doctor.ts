/** `tideline doctor`: the checks are plain JavaScript beside the launcher, because they must run before anything is built. */
import type { Command } from "commander";
import { runDoctor } from "../launch/doctor.mjs";
import { surroundings } from "../session/paths.ts";

export function addDoctor(program: Command): void {
  program
    .command("doctor")
    .description("what Tideline finds on this machine, what each missing thing costs, and how to get it")
    .option("--json", "JSON instead of a table")
    .addHelpText(
      "after",
      "\nExit code 0 unless something required is missing.\n\nExamples:\n  tideline doctor\n  tideline doctor --json",
    )
    .action(({ json }: { readonly json?: true }) => {
      process.exitCode = runDoctor({ root: surroundings().root, json: json ?? false });
    });
}
