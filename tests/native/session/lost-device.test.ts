/** A device that is lost while the session has it, over the double of the CUDA driver (../cuda-double): the app lives. */
import { join, resolve } from "node:path";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { type CommandAnswer, type CommandInput, type CommandName, commands } from "../../../core/contract/commands.ts";
import { TidelineError } from "../../../core/errors.ts";
import { MIB } from "../../../core/units.ts";
import { Session } from "../../../electron/session/session.ts";
import { openSettings } from "../../../electron/session/settings.ts";
import { eventually } from "../../eventually.ts";
import { ILLEGAL_ADDRESS, installCudaDouble } from "../cuda-double/cuda-double.ts";
import { addon } from "../support.ts";

const double = await installCudaDouble();
afterAll(() => double.remove());
let folders = 0;

function openSession() {
  const folder = join(double.folder, `${folders++}`);
  const settings = openSettings(folder);
  settings.saveBackend({ device: "cuda:0", capacityBytes: 256 * MIB, kvCacheBytes: 8 * MIB });
  const session = new Session({ addon, settings, backupsFolder: join(folder, "backups"), checkItself: true });
  onTestFinished(() => session.close());
  const ask = async <Name extends CommandName>(
    command: Name,
    params?: CommandInput<Name>,
  ): Promise<CommandAnswer<Name>> => {
    const answer = await session.handle({ id: 1, command, params: params ?? {} });
    if (!answer.ok) throw new TidelineError(answer.error);
    return commands[command].answer.parse(answer.value) as CommandAnswer<Name>;
  };
  return { session, settings, ask };
}

const LOST = {
  code: "device_lost",
  message: expect.stringMatching("^cuda:0 stopped answering, .*illegal memory access"),
  hint: expect.stringMatching(/choose .* again, or another/i),
};

function loseDevice(): void {
  double.arm({ call: "cuMemCreate", nth: 1, result: ILLEGAL_ADDRESS, sticky: true });
}

test("work on a lost device is refused with one error, the state says so, and choosing it again opens it anew", async () => {
  const { session, ask } = openSession();
  await ask("measure_link");
  expect(session.state().device).not.toHaveProperty("lost");
  loseDevice();
  await expect(ask("measure_link")).rejects.toMatchObject(LOST);
  double.disarm();
  expect(session.state().device).toMatchObject({ name: "cuda:0", lost: expect.stringContaining("(700)") });
  for (const work of [
    ask("measure_link"),
    ask("resume", { consumer: "engine.weights" }),
    ask("open_checkpoint", { path: resolve("assets/demo") }),
    ask("load_model", { path: resolve("assets/demo"), role: "reference" }),
  ]) {
    await expect(work).rejects.toMatchObject(LOST);
  }
  // What needs no driver goes on.
  expect(await ask("trim")).toEqual({ bytesFreed: 0 });
  expect((await ask("observe")).device.name).toBe("cuda:0");

  const reopened = await ask("configure", { device: "cuda:0" });
  expect(reopened.device).not.toHaveProperty("lost");
  await ask("measure_link");
});

test("after a loss the host device works", async () => {
  const { session, settings, ask } = openSession();
  loseDevice();
  await expect(ask("measure_link")).rejects.toMatchObject(LOST);
  double.disarm();
  await ask("configure", { device: "host" });
  expect(settings.backend.device).toBe("host");
  await ask("open_checkpoint", { path: resolve("assets/demo") });
  expect(session.state()).toMatchObject({ device: { name: "host" }, engine: { status: "idle" } });
  expect(double.counts().contexts).toBe(0);
});

test("a device that does not come back leaves the session on the host", async () => {
  const { session, ask } = openSession();
  loseDevice();
  await expect(ask("measure_link")).rejects.toMatchObject(LOST);
  double.arm({ call: "cuDevicePrimaryCtxRetain", nth: 1, result: ILLEGAL_ADDRESS });
  await expect(ask("configure", { device: "cuda:0" })).rejects.toMatchObject({ code: "device_unavailable" });
  double.disarm();
  expect(session.state().device).toMatchObject({ name: "host" });
  await ask("open_checkpoint", { path: resolve("assets/demo") });
  await ask("configure", { device: "host", capacityBytes: 128 * MIB });
});

test("a loss that only the sampling notices is told too", async () => {
  const { session } = openSession();
  double.arm({ call: "cuMemGetInfo", nth: 1, result: ILLEGAL_ADDRESS, sticky: true });
  await eventually(() => expect(session.state().device.lost).toContain("cuMemGetInfo"));
  double.disarm();
});
