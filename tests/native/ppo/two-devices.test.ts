/**
 * A PPO run whose engine and roles lie on two GPUs learns, bit for bit, what it learns on one, whatever moves between them,
 * and each GPU holds what was placed there. On two GPUs where TIDELINE_DEVICE names one and the machine has them, else over the
 * double of the driver that runs the CUDA kernels' sources, with two cards.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { toErrorData } from "../../../core/errors.ts";
import type { Placement } from "../../../core/run/placement.ts";
import type { StrategySet } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import type { ActionRecord } from "../../../electron/ppo/records.ts";
import { type StartedRun, startRun } from "../../../electron/ppo/start-run.ts";
import type { WorkloadSettings } from "../../../electron/ppo/workload-settings.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, NOTHING } from "../cuda-double/cuda-double.ts";
import { addon, CHUNK_BYTES, HAS_TWO_CARDS, roomFor, withFolder } from "../support.ts";
import { demoWorkload, policyHash, REWARD_MODEL, scheduleOf, TOGETHER } from "./support.ts";

let double: CudaDouble | undefined;
beforeAll(async () => {
  if (!HAS_TWO_CARDS) double = await installComputeDouble({ devices: 2 });
}, 300_000);
afterAll(() => {
  const left = double?.counts();
  double?.remove();
  if (left !== undefined) expect(left).toEqual(NOTHING);
});
beforeEach(() => double?.linkPeers(true));

type Strategies = Partial<StrategySet>;

/** A step computes, and the next one generates with what it learned. */
const STEPS = 2;
const CAPACITY_BYTES = roomFor(128 * MIB);

/** For the name of a test that is skipped where scratch has parts for cuBLAS. */
const SIZED = HAS_TWO_CARDS ? " (skipped: its sizes are those of the double)" : "";

interface Options {
  readonly placement?: Placement;
  readonly strategies?: Strategies;
  readonly capacities?: Readonly<Record<string, number>>;
}

/** A run on cuda:0, but for what is placed elsewhere. */
function withRun<T>(
  options: Options,
  use: (started: StartedRun, actions: readonly ActionRecord[]) => Promise<T>,
): Promise<T> {
  return withFolder((directory) => runIn(directory, options, use));
}

async function runIn<T>(
  directory: string,
  { placement = {}, strategies = {}, capacities }: Options,
  use: (started: StartedRun, actions: readonly ActionRecord[]) => Promise<T>,
): Promise<T> {
  const { settings } = await demoWorkload();
  const small: Partial<WorkloadSettings> = {
    ...{ rollouts: 4, epochs: 1, miniBatches: 1, placement },
    roles: { ...settings.roles, reward: REWARD_MODEL },
    device: {
      ...{ capacityBytes: CAPACITY_BYTES, kvCacheBytes: MIB, chunkBytes: CHUNK_BYTES },
      ...(capacities !== undefined && { capacities }),
    },
  };
  const workload = await demoWorkload(small);
  const actions: ActionRecord[] = [];
  const started = await startRun({
    ...{ addon, workload, schedule: scheduleOf(workload, strategies), deviceName: "cuda:0", directory },
    signal: new AbortController().signal,
    onAction: (action) => actions.push(action),
  });
  try {
    return await use(started, actions);
  } finally {
    await started.backend.close();
  }
}

function learn(options: Options) {
  return withRun(options, async (started, actions) => {
    const { run: state } = await started.run.go({ kind: "steps", steps: STEPS });
    expect(state).toEqual({ status: "paused", reason: { kind: "reached" } });
    const { steps } = started.run.records;
    return {
      learned: {
        statistics: steps.map(({ statistics }) => ({ ...statistics })),
        said: steps.flatMap(({ samples }) => samples.map(({ prompt, response }) => ({ prompt, response }))),
        hash: await policyHash(started),
      },
      phases: steps.at(-1)?.phases ?? [],
      measurement: started.run.records.measurement(),
      swaps: new Set(actions.filter(({ kind }) => kind === "swap").map(({ receipt }) => receipt?.method)),
    };
  });
}

const ENGINE_APART: Placement = { engine: "cuda:1" };
const SPREAD: Placement = { engine: "cuda:1", critic: "cuda:1", reference: "cuda:1" };

describe("learns bit for bit what one device learns", () => {
  let alone: Awaited<ReturnType<typeof learn>>;
  beforeAll(async () => {
    alone = await learn({});
  }, 300_000);

  const WAYS: readonly (readonly [name: string, Options, linked: boolean, method: string])[] = [
    [
      "the engine on a card of its own",
      { placement: ENGINE_APART, strategies: { swap: { method: "copy" } } },
      true,
      "peer",
    ],
    [
      "cards that cannot reach each other",
      { placement: ENGINE_APART, strategies: { swap: { method: "copy" } } },
      false,
      "staged",
    ],
    [
      "roles on both cards",
      { placement: SPREAD, strategies: { swap: { method: "bucketed", bucketBytes: 8192 } } },
      true,
      "bucketed",
    ],
    [
      "one copy of the policy, handed over and back, and all that may leave the cards",
      { placement: { ...ENGINE_APART, reference: "cuda:1" }, strategies: TOGETHER },
      true,
      "peer",
    ],
  ];
  // Two GPUs have a link or have none.
  test.each(WAYS.filter(([, , linked]) => linked || !HAS_TWO_CARDS))(
    "%s",
    async (_, options, linked, method) => {
      double?.linkPeers(linked);
      const { learned, swaps } = await learn(options);
      expect(learned).toEqual(alone.learned);
      expect([...swaps]).toEqual([
        HAS_TWO_CARDS && method === "peer" ? expect.stringMatching(/^(peer|staged)$/) : method,
      ]);
    },
    300_000,
  );
});

test("each card holds what was placed there, trainers' scratch wherever there are some, and the peaks are each card's", async () => {
  const { phases, measurement } = await learn({ placement: SPREAD });
  const heldIn = (work: string, device: string) =>
    Object.keys(phases.find((phase) => phase.work === work)?.devices?.[device]?.holders ?? {}).sort();
  expect(heldIn("train_policy", "cuda:0")).toEqual(
    ["policy.gradients", "policy.optimizer", "policy.weights", "reward.weights", "activations", "logits"].sort(),
  );
  expect(heldIn("train_policy", "cuda:1")).toEqual(
    [
      ...["engine.kv_cache", "engine.weights", "workspace", "reference.weights", "activations", "logits"],
      ...["critic.gradients", "critic.optimizer", "critic.weights"],
    ].sort(),
  );
  const { "cuda:0": first = 0, "cuda:1": second = 0 } = measurement.devicePeakBytes ?? {};
  expect(Math.min(first, second)).toBeGreaterThan(0);
  expect(measurement.peakBytes).toBe(first + second);
  for (const { peakBytes, devices = {} } of phases) {
    expect(peakBytes).toBe(Object.values(devices).reduce((sum, device) => sum + device.peakBytes, 0));
  }
}, 300_000);

test("memory that runs out is that of one card: the error names it and who holds that one", async () => {
  const capacities = { "cuda:1": 8 * MIB };
  const outcome = await withRun({ placement: SPREAD, capacities }, ({ run }) =>
    run.go({ kind: "steps", steps: 1 }).then((cursor) => cursor.run),
  ).catch((error: unknown) => ({ status: "failed", error: toErrorData(error) }));
  expect(outcome).toMatchObject({
    status: "failed",
    error: {
      code: "out_of_memory",
      message: expect.stringMatching(/^cuda:1: out of memory/),
      capacityBytes: 8 * MIB,
      holders: expect.not.arrayContaining([expect.objectContaining({ consumer: "policy.weights" })]),
    },
  });
}, 300_000);

test.skipIf(HAS_TWO_CARDS)(
  `what lies on both cards is taken on both or on none${SIZED}`,
  async () => {
    // Room on cuda:1 for all but the scratch of its trainers, which the first scoring takes.
    const capacities = { "cuda:1": 16 * MIB };
    await withRun({ placement: SPREAD, capacities }, async ({ run, backend }) => {
      const cursor = await run.go({ kind: "steps", steps: 1 });
      expect(cursor.run).toMatchObject({ status: "failed", error: { code: "out_of_memory" } });
      expect(cursor.run).toHaveProperty("error.message", expect.stringMatching(/^cuda:1: out of memory/));
      for (const { name, holders } of backend.devices()) {
        expect(
          holders().map(({ consumer }) => consumer),
          name,
        ).not.toContain("activations");
      }
    });
  },
  300_000,
);

test.each([
  [
    "sharing memory across cards",
    { placement: ENGINE_APART, strategies: { swap: { method: "share" } } },
    {
      code: "unsupported",
      message:
        "cannot `swap engine.weights from policy.weights (share)`: the engine is on cuda:1 and the policy on cuda:0, and " +
        "memory of another device cannot be read in place",
      hint: "swap by copy, or put both on one device",
    },
  ],
  ["a card that is not there", { placement: { critic: "cuda:7" } }, { code: "device_unavailable" }],
] as const)("refused before anything is loaded, with no card left open: %s", async (_, options, expected) => {
  const error = await withRun(options, async () => undefined).catch(toErrorData);
  expect(error).toMatchObject(expected);
  if (double !== undefined) expect(double.counts()).toEqual(NOTHING);
});
