/** What stands beside weights that are made here, so that transformers opens the folder too: config.json and a tokenizer. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { formatConfig } from "../../core/checkpoint/format-config.ts";
import type { ModelConfig } from "../../core/checkpoint/model-config.ts";
import { byteTokenizer, PAD_TOKEN_ID, TOKENIZER_SETTINGS } from "./byte-tokenizer.ts";

/** @param dtype of the weights, in transformers' spelling. */
export async function writeCompanions(folder: string, config: ModelConfig, dtype: string): Promise<void> {
  const files = {
    "config.json": { ...formatConfig(config), pad_token_id: PAD_TOKEN_ID, dtype },
    "tokenizer.json": byteTokenizer(config.vocabSize),
    "tokenizer_config.json": TOKENIZER_SETTINGS,
  };
  for (const [name, value] of Object.entries(files)) {
    await writeFile(join(folder, name), `${JSON.stringify(value, undefined, 2)}\n`);
  }
}
