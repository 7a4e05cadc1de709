#!/usr/bin/env node
/** `npx tideline …`: makes the clone ready, then runs the command line. The doctor runs first: it must work unbuilt. */
import "./require-node.mjs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { runDoctor } from "./doctor.mjs";
import { orExplain, prepare } from "./prepare.mjs";

const root = join(fileURLToPath(import.meta.url), "../../..");
const [command, ...rest] = process.argv.slice(2);

if (command === "doctor" && rest.every((option) => option === "--json")) {
  process.exitCode = runDoctor({ root, json: rest.length > 0 });
} else {
  await orExplain(async () => {
    await prepare(root);
    await import(pathToFileURL(join(root, "dist", "tideline.js")).href);
  });
}
