/** What the commands keep and how they end where something fails halfway: over an addon that is told to fail. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { tideline } from "./command.ts";
import { ADDON_FILE, withFolder } from "./support.ts";

/** The commands' addon is that which this CommonJS text exports; `real` is the built one. */
async function withAddon(text: string, use: (folder: string) => void): Promise<void> {
  await withFolder(async (folder) => {
    const file = join(folder, "addon.cjs");
    writeFileSync(file, `const real = require(${JSON.stringify(ADDON_FILE)});\n${text}`);
    vi.stubEnv("TIDELINE_ADDON", file);
    try {
      use(folder);
    } finally {
      vi.unstubAllEnvs();
    }
  });
}

it("tells what a run measured, and writes its report, also where its baseline cannot be run", async () => {
  const once = `
    let opened = 0;
    const gone = () => Object.assign(new Error("the device is gone"), { code: "device_unavailable" });
    const openDevice = (options) => {
      if (opened++ > 0) throw gone();
      return real.openDevice(options);
    };
    module.exports = { ...real, openDevice };`;
  await withAddon(once, (folder) => {
    const file = join(folder, "report.html");
    const { code, out, error } = tideline("run", "--steps", "1", "--baseline", "--report", file);
    expect(out).toContain("1 step, peak");
    expect(out).toContain(`report written to ${file}`);
    expect(readFileSync(file, "utf8")).toContain("1 step");
    expect(error).toContain("error: the device is gone");
    expect(code).toBe(1);
  });
});

it("share ends with 130 when it is stopped while the weights are loaded", async () => {
  const loading = `
    const load = (_, { cancellation }) =>
      new Promise((_, reject) => {
        const busy = setInterval(() => {}, 1000);
        cancellation.cancel = () => {
          clearInterval(busy);
          reject(Object.assign(new Error("cancelled"), { code: "cancelled" }));
        };
        process.kill(process.pid, "SIGINT");
      });
    const close = async () => {};
    const createModel = () => ({ load, close });
    module.exports = { ...real, openDevice: () => ({ close }), createModel, createCancellation: () => ({}) };`;
  await withAddon(loading, (folder) => {
    const args = ["--checkpoint", "tests/fixtures/checkpoints/tiny-llama-gqa", "--socket", join(folder, "socket")];
    expect(tideline("share", ...args)).toEqual({ code: 130, out: "", error: "" });
  });
});

it("memory-cycle leaves no folder where its device cannot be opened", async () => {
  await withFolder(async (folder) => {
    vi.stubEnv("TIDELINE_CACHE_DIR", folder);
    const { code, error } = tideline(
      "memory-cycle",
      "--bytes",
      "1MiB",
      "--chunk",
      "1MiB",
      "--cycles",
      "1",
      "--device",
      "no",
    );
    vi.unstubAllEnvs();
    expect(error).toContain("error: ");
    expect({ code, left: readdirSync(folder, { recursive: true }) }).toEqual({ code: 1, left: [] });
  });
});
