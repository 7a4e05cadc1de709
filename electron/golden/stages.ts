/**
 * What an engine has to survive with its answers unchanged: releasing and resuming its weights and its cache in every
 * mode, and swapping to another model and back.
 */
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeHeader } from "../../core/checkpoint/safetensors.ts";
import { toErrorData } from "../../core/errors.ts";
import type { NativeEngine, ReleaseMode, TensorSource } from "../../native/addon.d.ts";
import type { Checkpoint } from "../session/checkpoint.ts";
import { type Comparison, compareNumbers, comparePrompt, worst } from "./compare.ts";
import type { EngineRun } from "./engine-run.ts";
import { type Golden, toleranceFor } from "./golden-file.ts";

/** A checkpoint with the truth about it. */
export interface GoldenCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly golden: Golden;
}

export interface Stage {
  readonly name: string;
  /** Where it is not the case's. */
  readonly tolerance?: number;
  /** Brings the engine there, and compares everything. */
  run(): Promise<Comparison>;
}

/** The model to swap to: how its weights differ is known, so that a swap that did nothing is seen. */
interface Other {
  readonly name: string;
  readonly tensors: readonly TensorSource[];
  check(): Promise<Comparison>;
}

const FINAL_NORM = "model.norm.weight";
const RELEASABLE = ["weights", "kv_cache"] as const;
const KEEPING_MODES = ["host", "disk", "clean"] as const satisfies readonly ReleaseMode[];

/**
 * All stages of one case, in order. `twin` is another case of the same shape; without one, B is A with its final norm
 * negated, whose logits are A's negated.
 * @param directory where backups and B's changed tensor are written.
 */
export function stagesOf(
  run: EngineRun,
  a: GoldenCheckpoint,
  twin: GoldenCheckpoint | undefined,
  directory: string,
): readonly Stage[] {
  const { engine } = run;
  const tolerance = toleranceFor(a.golden);
  const checkAgainst = async (golden: Golden) => {
    const computed = await run.compute(golden.cases);
    return worst(
      golden.cases.map((expected, index) => {
        const actual = computed[index];
        if (actual === undefined)
          return { worstError: Number.POSITIVE_INFINITY, failure: `prompt ${index} has no answer` };
        const { worstError, failure } = comparePrompt(expected, actual, tolerance);
        return { worstError, failure: failure && `prompt ${index}: ${failure}` };
      }),
    );
  };
  const checkA = () => checkAgainst(a.golden);
  const stage = (name: string, prepare: () => Promise<unknown>): Stage => ({
    name,
    run: async () => {
      await prepare();
      return checkA();
    },
  });
  const loadA = () => swapToDisk(engine, a.checkpoint, a.checkpoint.tensors);

  const otherModel = async (): Promise<Other> => {
    if (twin !== undefined) {
      const { checkpoint, golden } = twin;
      return { name: checkpoint.name, tensors: checkpoint.tensors, check: () => checkAgainst(golden) };
    }
    const tensors = await withNegatedNorm(a.checkpoint.tensors, directory);
    return { name: "negated", tensors, check: () => checkNegated(run, a.golden, tolerance) };
  };
  const roundTrip = (method: "share" | "copy" | "disk"): Stage => ({
    name: `swap A -> B -> A, ${method}`,
    run: async () => {
      const other = await otherModel();
      const model = method === "disk" ? undefined : await run.loadModel(other.tensors);
      if (model === undefined) await swapToDisk(engine, a.checkpoint, other.tensors);
      else
        await engine.swap({
          source: { kind: "model", model },
          method: method === "share" ? "share" : "copy",
          running: "refuse",
        });
      const onB = await other.check();
      await loadA();
      await model?.close();
      return worst([labelled(`on B (${other.name})`, onB), labelled("back on A", await checkA())]);
    },
  });

  return [
    stage("loaded", async () => undefined),
    stage("weights discarded, reloaded", async () => {
      await engine.release("weights", { mode: "discard" });
      await mustRefuse(() => run.lastLogits([0]), ["not_resident"]);
      await engine.resume("weights");
      await mustRefuse(() => run.lastLogits([0]), ["contents_undefined"]);
      await loadA();
    }),
    stage("kv_cache discarded", async () => {
      await engine.release("kv_cache", { mode: "discard" });
      await mustRefuse(() => run.lastLogits([0]), ["not_resident"]);
      await engine.resume("kv_cache");
    }),
    ...RELEASABLE.flatMap((tag) =>
      KEEPING_MODES.map((mode) =>
        stage(`${tag} released: ${mode}`, async () => {
          if (mode === "clean") {
            await engine.release(tag, { mode: "host" });
            await engine.resume(tag);
          }
          await engine.release(tag, { mode, directory });
          await mustRefuse(() => run.lastLogits([0]), ["not_resident"]);
          await engine.resume(tag);
        }),
      ),
    ),
    roundTrip("share"),
    roundTrip("copy"),
    roundTrip("disk"),
  ];
}

/** A folder for backups, removed after `use`. */
export async function withTemporaryFolder<T>(use: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "tideline-golden-"));
  try {
    return await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function swapToDisk(engine: NativeEngine, { config }: Checkpoint, tensors: readonly TensorSource[]) {
  return engine.swap({ source: { kind: "checkpoint", config, tensors }, method: "auto", running: "refuse" });
}

/** Asking a released engine has to fail in a known way: answering from memory that is gone would be worse than wrong. */
async function mustRefuse(ask: () => Promise<unknown>, codes: readonly string[]): Promise<void> {
  const code = await ask().then(
    () => "an answer",
    (error: unknown) => toErrorData(error).code,
  );
  if (!codes.includes(code)) throw new Error(`expected ${codes.join(" or ")} while released, got ${code}`);
}

async function checkNegated(run: EngineRun, golden: Golden, tolerance: number): Promise<Comparison> {
  const comparisons: Comparison[] = [];
  for (const { prompt, lastLogits } of golden.cases) {
    const expected = lastLogits.map((logit) => -logit);
    comparisons.push(compareNumbers("logit", expected, await run.lastLogits(prompt), tolerance));
  }
  return worst(comparisons);
}

function labelled(where: string, { worstError, failure }: Comparison): Comparison {
  return { worstError, failure: failure && `${where}: ${failure}` };
}

/** The tensors of a checkpoint with the final norm taken from a new file in which every weight is negated. */
async function withNegatedNorm(tensors: readonly TensorSource[], directory: string): Promise<readonly TensorSource[]> {
  const norm = tensors.find(({ name }) => name === FINAL_NORM);
  if (norm === undefined) throw new Error(`the checkpoint has no ${FINAL_NORM}`);
  const bytes = new Uint8Array(norm.bytes);
  const source = await open(norm.file, "r");
  try {
    await source.read(bytes, 0, norm.bytes, norm.offset);
  } finally {
    await source.close();
  }
  // Little-endian floats of any size have their sign in the highest bit of their last byte.
  const width = norm.bytes / norm.shape.reduce((product, size) => product * size, 1);
  for (let last = width - 1; last < bytes.length; last += width) bytes[last] = (bytes[last] ?? 0) ^ 0x80;
  const header = makeHeader([norm]);
  const file = join(directory, "negated-norm.safetensors");
  await writeFile(file, Buffer.concat([header, bytes]));
  return tensors.map((tensor) => (tensor === norm ? { ...norm, file, offset: header.byteLength } : tensor));
}
