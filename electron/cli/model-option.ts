/** A model as commands take it: a config.json, the folder of one, or a name of the catalogue. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { catalogueName } from "../../core/planner/models/catalogue.ts";
import { CONFIG_FILE } from "../session/checkpoint.ts";
import { readTextFile } from "../session/input-file.ts";

const MAX_CONFIG_BYTES = 2 ** 20;

export interface ConfigText {
  readonly file: string;
  readonly text: string;
}

/**
 * A file or folder first: nobody names one by accident.
 * @returns undefined where it can only be a name.
 * @throws TidelineError of a file that cannot be read.
 */
export async function readModelFile(model: string): Promise<ConfigText | undefined> {
  const file = configFile(model);
  return file === undefined ? undefined : { file, text: await readTextFile(file, MAX_CONFIG_BYTES) };
}

function configFile(model: string): string | undefined {
  const found = statSync(model, { throwIfNoEntry: false });
  if (found?.isDirectory()) return join(model, CONFIG_FILE);
  // A file that is not there is told by whoever opens it.
  return found?.isFile() || (model.endsWith(".json") && catalogueName(model) === undefined) ? model : undefined;
}
