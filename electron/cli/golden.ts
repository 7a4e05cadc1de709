/** `tideline golden`: compares the engine with answers computed elsewhere. */
import type { Command } from "commander";
import { runGolden } from "../golden/run.ts";

export function addGolden(program: Command): void {
  program
    .command("golden")
    .description("compare the engine with reference answers; prints the worst error of each case")
    .argument("<dir...>", "folders of the shapes in tests/fixtures/README.md, or folders of such folders")
    .option("--device <name>", "where engine and trainer run: host or cuda:N", "host")
    .option("--json", "JSON instead of a table")
    .addHelpText(
      "after",
      `
Examples:
  tideline golden tests/fixtures/checkpoints/*
  tideline golden --json ~/golden/my-model`,
    )
    .action(async (folders: string[], { json, device }: { readonly json?: true; readonly device: string }) => {
      const { failed } = await runGolden(folders, { json: json ?? false, device });
      if (failed > 0) process.exitCode = 1;
    });
}
