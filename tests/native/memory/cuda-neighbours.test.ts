/** A card that other processes use too, over doubles of CUDA and NVML that all of them share (../cuda-double). */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, expect, test } from "vitest";
import { MIB } from "../../../core/units.ts";
import { installCudaDouble } from "../cuda-double/cuda-double.ts";
import { ADDON_FILE, addon, failure } from "../support.ts";

const double = await installCudaDouble();
afterAll(() => double.remove());

/** Another process that takes memory of the card, and keeps it until it is ended. */
const NEIGHBOUR = `
  const { addonFile, bytes } = JSON.parse(process.argv[1]);
  const device = require(addonFile).openDevice({ name: "cuda:0", capacityBytes: bytes });
  const region = device.createRegion({ consumer: "theirs", tag: "theirs", bytes });
  region.resume().then(() => process.stdout.write("resident"));
  process.stdin.resume();
`;

test("memory that another process took meanwhile: the error names it, and once it is gone the retry works", async () => {
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 900 * MIB });
  const region = device.createRegion({ consumer: "engine.weights", tag: "weights", bytes: 512 * MIB });
  const kept = device.createRegion({ consumer: "policy.weights", tag: "weights", bytes: 32 * MIB });
  await kept.resume();
  await region.resume();
  await region.release({ mode: "discard" });

  const options = JSON.stringify({ addonFile: ADDON_FILE, bytes: 640 * MIB });
  const neighbour = spawn(process.execPath, ["-e", NEIGHBOUR, options], {
    env: { ...process.env, ...double.environment },
    stdio: ["pipe", "pipe", "inherit"],
  });
  await once(neighbour.stdout, "data");
  const error = await failure(() => region.resume());
  // Of 1024 MiB: two contexts of 64, the 640 and the 32.
  expect(error).toMatchObject({ code: "out_of_memory", requestedBytes: 512 * MIB, freeBytes: 224 * MIB });
  const theirs = { consumer: expect.stringContaining(`process ${neighbour.pid} (`), bytes: 640 * MIB };
  expect(error.holders).toEqual([{ consumer: "policy.weights", bytes: 32 * MIB }, theirs]);
  expect(error.hint).toMatch(
    new RegExp(`^release policy.weights \\(32.0 MiB\\), or end process ${neighbour.pid} \\(.+\\) \\(640.0 MiB\\)$`),
  );
  expect(device.observe()).toMatchObject({ committedBytes: 32 * MIB, heldBytes: 0 });

  neighbour.stdin.end();
  neighbour.kill();
  await once(neighbour, "exit");
  await region.resume();
  expect(region.observe()).toMatchObject({ residency: "resident" });
  for (const open of [region, kept]) await open.close();
  await device.close();
});

test("without NVML the error says what it can", async () => {
  process.env.TIDELINE_NVML_LIBRARY = "/nonexistent/libnvidia-ml.so";
  try {
    const device = addon.openDevice({ name: "cuda:0", capacityBytes: 2048 * MIB });
    const region = device.createRegion({ consumer: "engine.weights", tag: "weights", bytes: 1024 * MIB });
    const error = await failure(() => region.resume());
    expect(error).toMatchObject({ code: "out_of_memory", holders: [] });
    expect(error.hint).toContain("or end other programs that use this device's memory");
    await region.close();
    await device.close();
  } finally {
    process.env.TIDELINE_NVML_LIBRARY = double.environment.TIDELINE_NVML_LIBRARY;
  }
});
