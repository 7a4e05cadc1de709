/**
 * Weights from one card to another: what a copy of 15 GiB from `cuda:0` to an engine on `cuda:1` takes, as receipts say it,
 * whole and through buckets, beside the driver's own copies in the same run (card-peer.cc), which also tell whether the link
 * is taken for memory that the other card has no access to.
 */
import { execFileSync } from "node:child_process";
import { GIB, MIB } from "../../core/units.ts";
import type { NativeDevice } from "../../native/addon.d.ts";
import { addon, LLAMA_3_8B, loadZeros, ofDriver, problemOf, repeat, withDevice } from "./card.ts";
import { median, report } from "./report.ts";

const SOURCE = "cuda:0";
const TARGET = "cuda:1";
const CAPACITY_BYTES = 20 * GIB;
const KV_CACHE_BYTES = 64 * MIB;
const LINK_BYTES = 4 * GIB;
const REPETITIONS = 5;
const LINK_PROGRAM = process.env.CARD_PEER ?? "tests/output/bench/card-peer";

const problem = problemOf(SOURCE) ?? problemOf(TARGET);
if (problem !== undefined) {
  process.stdout.write(`card-peer is left out: ${problem}\n`);
} else {
  const link = measureLink();
  await withDevice(SOURCE, CAPACITY_BYTES, (source) =>
    withDevice(TARGET, CAPACITY_BYTES, (target) => measureSwaps(source, target, link)),
  );
}

/** GB/s of the driver's own copies between the cards; undefined where they cannot reach each other. */
function measureLink(): number | undefined {
  const output = execFileSync(LINK_PROGRAM, { input: `${LINK_BYTES} ${REPETITIONS}\n`, encoding: "utf8" }).trim();
  if (output === "none") {
    process.stdout.write(`${SOURCE} and ${TARGET} cannot reach each other: copies go through the host\n`);
    return undefined;
  }
  const [allocated = 0, mapped = 0, admitted = 0] = output.split(" ").map(Number);
  for (const [name, value] of Object.entries({ allocated, mapped, admitted })) {
    report({ name: `peer_link_${name}`, unit: "GB/s", samples: [value] });
  }
  return allocated;
}

async function measureSwaps(from: NativeDevice, to: NativeDevice, link: number | undefined): Promise<void> {
  const policy = addon.createModel(from, { config: LLAMA_3_8B, dtype: "bfloat16", consumer: "policy.weights" });
  const own = addon.createModel(to, { config: LLAMA_3_8B, dtype: "bfloat16", consumer: "engine.weights" });
  await loadZeros(policy);
  await own.copyFrom(policy);
  const engine = addon.createEngine(to, own, { kvCacheBytes: KV_CACHE_BYTES });
  for (const method of ["copy", "bucketed"] as const) {
    const receipts = await repeat(REPETITIONS, () =>
      engine.swap({ source: { kind: "model", model: policy }, method, running: "refuse" }),
    );
    const samples = receipts.map(({ milliseconds }) => milliseconds);
    const { method: taken = "", bytesCopied } = receipts[0] ?? { bytesCopied: 0 };
    report({
      name: `peer_swap_${method}`,
      unit: "ms",
      samples,
      ...(link !== undefined && { ratio: ofDriver(bytesCopied, median(samples), link) }),
      settings: { taken, bytesCopied },
    });
  }
  await engine.close();
  await policy.close();
}
