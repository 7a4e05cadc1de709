/**
 * How long the works of a step take: a roofline of arithmetic, memory and links, at the shares of their peaks that well
 * tuned code reaches. It orders plans and puts transitions into proportion; nobody should read more out of it.
 */
import type { Work } from "../../schedule/works.ts";
import { kvBytesPerToken } from "../memory/engine/kv-cache.ts";
import type { Footprint } from "../memory/footprint.ts";
import { type Architecture, activeParameterCount, type Head, parameterCount } from "../models/architecture.ts";
import { layoutOf } from "../plan.ts";
import { sumOf, type Term } from "../provenance.ts";
import type { ResolvedPlan, ResolvedRole } from "../resolve.ts";

/** Of the peaks that makers state. */
const ARITHMETIC_SHARE = 0.4;
const MEMORY_SHARE = 0.7;
const LINK_SHARE = 0.7;

const SOURCE = "a roofline: 40 % of peak arithmetic, 70 % of memory and link bandwidth";

export type WorkSeconds = Readonly<Record<Work, Term>>;

export function workSecondsOf(resolved: ResolvedPlan, footprint: Footprint): WorkSeconds {
  const { policy, critic, reference, reward } = resolved;
  const score = (role: ResolvedRole<{ readonly precision: string }>) => longest(passBounds(resolved, role, 1));
  const train = (role: typeof policy, consumer: "policy" | "critic") => {
    const { planned } = role;
    // Backward is twice the forward pass, without gradients of weights once; checkpointing computes forward again.
    const passes = (planned.lora === undefined ? 3 : 2) + (planned.gradientCheckpointing ? 1 : 0);
    const updated = (["weights", "gradients", "optimizer"] as const).reduce(
      (sum, part) => sum + sumOf(footprint.kept[`${consumer}.${part}`]),
      0,
    );
    const update = (2 * updated) / (resolved.gpu.memoryBytesPerSecond.value * MEMORY_SHARE);
    const pass = longest(passBounds(resolved, role, passes));
    return { ...pass, amount: pass.amount + update + streamedSeconds(resolved, footprint, consumer) };
  };
  return {
    rollout: rolloutSeconds(resolved, footprint),
    score_policy: score(policy),
    score_reference: score(reference),
    score_reward: reward === undefined ? NONE : score(reward),
    score_critic: score(critic),
    advantages: NONE,
    train_critic: train(critic, "critic"),
    train_policy: train(policy, "policy"),
    // The swap before it is what takes time.
    update_weights: NONE,
  };
}

/** Of an optimizer's states from the host through the device and back: both directions at once, which slows each a little. */
const BOTH_WAYS_SHARE = 0.8;

function streamedSeconds(
  { plan: { strategies }, gpu }: ResolvedPlan,
  footprint: Footprint,
  role: "policy" | "critic",
): number {
  if (!strategies.optimizerOnHost || !strategies.optimizerStreamed) return 0;
  const slower = Math.min(gpu.hostToDeviceBytesPerSecond.value, gpu.deviceToHostBytesPerSecond.value);
  return sumOf(footprint.kept[`${role}.optimizer`]) / (slower * BOTH_WAYS_SHARE);
}

const NONE: Term = { cause: "no time to speak of", amount: 0, provenance: "assumption", source: SOURCE };

interface Bounds {
  readonly arithmetic: number;
  readonly memory: number;
  readonly link: number;
}

const LIMITED_BY = {
  arithmetic: "limited by arithmetic",
  memory: "limited by memory",
  link: "limited by links",
} as const;

function longest(bounds: Bounds): Term {
  const amount = Math.max(bounds.arithmetic, bounds.memory, bounds.link);
  const by = (["arithmetic", "memory", "link"] as const).find((name) => bounds[name] === amount) ?? "arithmetic";
  return { cause: LIMITED_BY[by], amount, provenance: "assumption", source: SOURCE };
}

/** All sequences of a step through a role's model, `passes` times the arithmetic of a forward pass. */
function passBounds(
  { plan, gpu }: ResolvedPlan,
  { architecture, head, planned }: ResolvedRole<{ readonly precision: string; readonly autocast?: boolean }>,
  passes: number,
): Bounds {
  const { workload, placement } = plan;
  const { trainers } = layoutOf(placement);
  const sequences = Math.ceil(workload.batch / trainers);
  const tokens = workload.promptTokens + workload.responseTokens;
  const microBatches = Math.ceil(sequences / workload.microBatch);
  const { active, all } = parametersOf(architecture, head);
  const flops = passes * sequences * tokens * (2 * active + attentionFlops(architecture, tokens));
  const slow = planned.precision === "fp32" && planned.autocast !== true;
  const peak = (slow ? gpu.float32FlopsPerSecond : gpu.flopsPerSecond).value;
  const weightsBytes = (all * (planned.precision === "fp32" ? 4 : 2)) / placement.tensorParallel;
  const fetched = placement.zeroStage === 3 ? weightsBytes * (1 - 1 / trainers) : 0;
  return {
    arithmetic: flops / placement.tensorParallel / (peak * ARITHMETIC_SHARE),
    memory: (passes * microBatches * weightsBytes) / (gpu.memoryBytesPerSecond.value * MEMORY_SHARE),
    link: (passes * microBatches * fetched) / (gpu.peerBytesPerSecond.value * LINK_SHARE),
  };
}

/** Of one token that looks back on half a sequence, in all layers: scores, and the sum of values. */
function attentionFlops({ runs }: Architecture, tokens: number): number {
  return runs.reduce((sum, { count, layer: { attention } }) => {
    const width =
      attention.kind === "grouped"
        ? 2 * attention.headDim
        : attention.plainHeadDim + attention.rotatedHeadDim + attention.valueHeadDim;
    return sum + count * 2 * attention.heads * width * (tokens / 2);
  }, 0);
}

/** Prompts are computed as in training; then every token of a response reads the weights and the cache once. */
function rolloutSeconds(resolved: ResolvedPlan, footprint: Footprint): Term {
  const { plan, gpu, engine } = resolved;
  const { workload, placement } = plan;
  const { promptTokens, responseTokens } = workload;
  const { architecture } = engine;
  const parts = placement.engineTensorParallel;
  const sequences = Math.ceil(workload.batch / layoutOf(placement).engines);
  const itemBytes = workload.engine.precision === "fp32" ? 4 : 2;
  const kvItemBytes = workload.engine.kvCacheType === "auto" ? itemBytes : 1;
  const tokenBytes = kvBytesPerToken(architecture, kvItemBytes, parts);
  const roomFor = Math.floor(sumOf(footprint.kept["engine.kv_cache"]) / (tokenBytes * (promptTokens + responseTokens)));
  const running = Math.max(1, Math.min(sequences, workload.engine.runningSequences ?? sequences, roomFor));
  const { active, all } = parametersOf(architecture, "language");

  const arithmetic = (tokens: number) => (2 * active * tokens) / parts / (gpu.flopsPerSecond.value * ARITHMETIC_SHARE);
  const weightsRead = (Math.min(all, active * running) * itemBytes) / parts;
  const cacheRead = running * tokenBytes * (promptTokens + responseTokens / 2);
  const step = {
    arithmetic: arithmetic(running),
    memory: (weightsRead + cacheRead) / (gpu.memoryBytesPerSecond.value * MEMORY_SHARE),
    link: 0,
  };
  const decoded = longest(step);
  const steps = Math.ceil(sequences / running) * responseTokens;
  return { ...decoded, amount: arithmetic(sequences * promptTokens) + steps * decoded.amount };
}

interface Parameters {
  readonly all: number;
  readonly active: number;
}

const counted = new WeakMap<Architecture, Map<Head, Parameters>>();

function parametersOf(architecture: Architecture, head: Head): Parameters {
  const known = counted.get(architecture) ?? new Map<Head, Parameters>();
  counted.set(architecture, known);
  const found = known.get(head);
  if (found !== undefined) return found;
  const count = {
    all: parameterCount(architecture, head),
    active: activeParameterCount(architecture, head),
  };
  known.set(head, count);
  return count;
}
