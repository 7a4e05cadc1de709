/**
 * model.safetensors.index.json: which shard of a checkpoint holds which tensor. File names come from a stranger and
 * stay inside the folder.
 */
import type { TidelineError } from "../errors.ts";
import { type FieldPath, refusal, shown } from "../input/fault.ts";
import { isJsonObject, parseJsonObject } from "../input/json.ts";
import { checkpointFile } from "./checkpoint-file.ts";
import type { TensorEntry } from "./safetensors.ts";

export interface ShardIndex {
  /** Tensor name to shard, by file name without a folder. */
  readonly shardOf: ReadonlyMap<string, string>;
  /** Each shard once, sorted. */
  readonly shards: readonly string[];
}

/**
 * @throws TidelineError checkpoint_invalid when `weight_map` is missing, empty, or names a file that is not a plain
 * `*.safetensors` name.
 */
export function parseIndex(text: string, file: string): ShardIndex {
  const { weight_map: weightMap } = parseJsonObject(text, indexFile(file), { refuseDuplicates: true });
  if (!isJsonObject(weightMap)) {
    const is = weightMap === undefined ? "is missing" : `is ${shown(weightMap)}`;
    throw invalid(file, ["weight_map"], `${is}: must be an object of tensor names and file names`);
  }
  const shardOf = new Map<string, string>();
  for (const [tensor, shard] of Object.entries(weightMap)) {
    if (typeof shard !== "string" || !isPlainFileName(shard)) {
      const problem = `is ${shown(shard)}: must be the name of a .safetensors file in this folder`;
      throw invalid(file, ["weight_map", tensor], problem, tensor);
    }
    shardOf.set(tensor, shard);
  }
  if (shardOf.size === 0) throw invalid(file, ["weight_map"], "lists no tensor");
  return { shardOf, shards: [...new Set(shardOf.values())].sort() };
}

/**
 * The tensors that the index lists, in its order, from the headers of its shards. Tensors that only a shard knows
 * are left out, as the index decides.
 * @param shardTensors what each shard's header lists, by shard name.
 * @throws TidelineError checkpoint_invalid when a shard lacks a tensor that the index says it holds.
 */
export function selectIndexed(
  index: ShardIndex,
  shardTensors: ReadonlyMap<string, readonly TensorEntry[]>,
  file: string,
): readonly TensorEntry[] {
  const byShard = new Map(
    [...shardTensors].map(([shard, tensors]) => [shard, new Map(tensors.map((tensor) => [tensor.name, tensor]))]),
  );
  return [...index.shardOf].map(([name, shard]) => {
    const tensor = byShard.get(shard)?.get(name);
    if (tensor === undefined)
      throw invalid(file, ["weight_map", name], `is ${shard}, but that file has no such tensor`, name);
    return tensor;
  });
}

function isPlainFileName(name: string): boolean {
  return /^[^/\\\0]+\.safetensors$/.test(name);
}

function indexFile(file: string) {
  return checkpointFile(file, "The index and its shards do not belong together: download the folder again.");
}

function invalid(file: string, path: FieldPath, message: string, tensor?: string): TidelineError {
  return refusal(indexFile(file), { path, message }, { tensor });
}
