/**
 * A session whose PPO run lies on several devices: what each holds is told apart, live and afterwards, and when the run ends
 * the devices are as they were. Over the double of the driver that runs the CUDA kernels' sources, with two cards.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { SessionState } from "../../../core/contract/state.ts";
import { MIB } from "../../../core/units.ts";
import { eventually } from "../../eventually.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, ILLEGAL_ADDRESS, NOTHING } from "../cuda-double/cuda-double.ts";
import { DEMO, openSession } from "./support.ts";

let double: CudaDouble;
beforeAll(async () => {
  double = await installComputeDouble({ devices: 2 });
}, 300_000);
afterAll(() => {
  const left = double.counts();
  double.remove();
  expect(left).toEqual(NOTHING);
});

/** So few that the double, which is slow, takes seconds. */
const SMALL = { rollouts: 4, miniBatches: 1 };
const ENGINE_APART = { placement: { engine: "cuda:1" }, capacityBytes: 128 * MIB };

const holding = (consumers: SessionState["consumers"]) =>
  consumers.flatMap(({ consumer, committedBytes }) => (committedBytes > 0 ? [consumer] : [])).sort();

test("each device is seen with what it holds, live and in the history, and the run gives all of it back", async () => {
  const { ask, openRun, go, events } = await openSession(SMALL);
  await ask("configure", { device: "cuda:0", capacityBytes: 256 * MIB });
  await ask("open_checkpoint", { path: DEMO });
  const opened = await openRun(
    { swap: { method: "copy" } },
    { ...ENGINE_APART, deviceCapacities: { "cuda:1": 64 * MIB } },
  );
  expect(opened.devices).toEqual([
    { name: "cuda:1", capacityBytes: 64 * MIB, holds: ["engine"] },
    { name: "cuda:0", capacityBytes: 128 * MIB, holds: ["policy", "critic", "reference"] },
  ]);
  const { cursor, savings } = await go({ kind: "steps", steps: 1 });
  expect(cursor).toMatchObject({ step: 1, run: { status: "paused" } });
  expect(Object.keys(savings.own.devicePeakBytes ?? {})).toEqual(["cuda:1", "cuda:0"]);

  const { device, consumers, otherDevices } = await ask("observe");
  expect(device).toMatchObject({ name: "cuda:1", capacityBytes: 64 * MIB });
  expect(holding(consumers)).toEqual(["engine.kv_cache", "engine.weights", "workspace"]);
  const [trainers] = otherDevices;
  expect(trainers?.device).toMatchObject({ name: "cuda:0", capacityBytes: 128 * MIB });
  expect(holding(trainers?.consumers ?? [])).toEqual(
    expect.arrayContaining(["activations", "critic.optimizer", "policy.weights", "reference.weights"]),
  );
  expect(holding(trainers?.consumers ?? [])).not.toContain("engine.weights");

  // Of both devices samples arrive, and each names whose it is.
  await eventually(() => {
    const live = events.flatMap((event) => (event.event === "samples" ? [event.batch] : []));
    expect(live.some((batch) => batch.device === undefined && batch.consumers.includes("engine.kv_cache"))).toBe(true);
    expect(live.some((batch) => batch.device === "cuda:0" && batch.consumers.includes("policy.weights"))).toBe(true);
  });
  const { batches, actions } = await ask("history", { sinceSeconds: 0, maxRows: 10_000 });
  expect(new Set(batches.map((batch) => batch.device))).toEqual(new Set([undefined, "cuda:0"]));
  for (const batch of batches) {
    if (batch.consumers.includes("critic.weights")) expect(batch.device).toBe("cuda:0");
    if (batch.consumers.includes("engine.kv_cache")) expect(batch.device).toBeUndefined();
  }
  expect(actions.find(({ kind }) => kind === "swap")?.receipt).toMatchObject({ method: "peer" });

  await ask("close_run");
  const after = await ask("observe");
  expect(after).toMatchObject({ device: { name: "cuda:0" }, otherDevices: [], engine: { status: "idle" } });
}, 300_000);

test("a role on the host beside an engine on a GPU", async () => {
  const { ask, openRun, go } = await openSession(SMALL);
  await ask("configure", { device: "cuda:0", capacityBytes: 256 * MIB });
  await openRun(
    { swap: { method: "copy" } },
    { placement: { reference: "host", critic: "host" }, capacityBytes: 128 * MIB },
  );
  const { cursor } = await go({ kind: "steps", steps: 1 });
  expect(cursor).toMatchObject({ step: 1, run: { status: "paused" } });
  const { otherDevices } = await ask("observe");
  expect(otherDevices.map(({ device }) => device.name)).toEqual(["host"]);
  expect(holding(otherDevices[0]?.consumers ?? [])).toEqual(
    [
      ...["activations", "critic.gradients", "critic.optimizer", "critic.weights", "logits", "reference.weights"],
    ].sort(),
  );
}, 300_000);

test("what devices cannot do together is said before anything is loaded, and the engine has its device again", async () => {
  const { ask, openRun } = await openSession(SMALL);
  await ask("configure", { device: "cuda:0", capacityBytes: 256 * MIB });
  await ask("open_checkpoint", { path: DEMO });
  await expect(openRun({ swap: { method: "share" } }, ENGINE_APART)).rejects.toMatchObject({
    data: { code: "unsupported", hint: expect.stringContaining("swap by copy") },
  });
  await expect(openRun({}, { placement: { engine: "cuda:7" } })).rejects.toMatchObject({
    data: { code: "device_unavailable" },
  });
  expect(await ask("observe")).toMatchObject({ device: { name: "cuda:0" }, engine: { status: "idle" } });
}, 300_000);

// Found out by a copy of its memory, and by what is computed there.
test.each(["cuMemcpyDtoHAsync", "cuLaunchKernel"])(
  "one device of a run is lost at %s: the run stops, says which, and ends",
  async (call) => {
    const { ask, openRun, go } = await openSession(SMALL);
    await ask("configure", { device: "host" });
    await openRun({ swap: { method: "copy" } }, { ...ENGINE_APART, placement: { engine: "cuda:1", critic: "cuda:0" } });
    double.arm({ call, nth: 1, result: ILLEGAL_ADDRESS, sticky: true });
    const { cursor } = await go({ kind: "steps", steps: 1 });
    expect(cursor.run).toMatchObject({
      status: "failed",
      error: {
        code: "device_lost",
        message: expect.stringMatching(`^cuda:1 stopped answering, .*${call}`),
        hint: expect.stringContaining("choose cuda:1 again"),
      },
    });
    double.disarm();
    await eventually(async () => {
      const { device, otherDevices } = await ask("observe");
      const lost = [device, ...otherDevices.map((other) => other.device)].filter((one) => one.lost !== undefined);
      expect(lost.map(({ name }) => name)).toEqual(["cuda:1"]);
    });
    await ask("close_run");
    expect((await ask("observe")).device.name).toBe("host");
  },
  300_000,
);
