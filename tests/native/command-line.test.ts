/** The `tideline` command as people run it: the built one, in a process of its own, judged by what it prints and its exit code. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, expect, it, vi } from "vitest";
import { deviceChoices } from "../../electron/session/native-observation.ts";
import { openSettings } from "../../electron/session/settings.ts";
import { tideline } from "./command.ts";
import { addon, testDevice, withFolder } from "./support.ts";

const DEMO = "assets/demo";
const LLAMA = "tests/fixtures/checkpoints/tiny-llama-gqa";

describe("wrong usage ends with 2 and says what is wrong", () => {
  it.each([
    [["nonsense"], "nonsense"],
    [["generate"], "--checkpoint"],
    [["generate", "--checkpoint", DEMO], "--prompt"],
    [["generate", "--checkpoint", DEMO, "--prompt", "a", "--prompt-ids", "1"], "--prompt-ids"],
    [["generate", "--checkpoint", DEMO, "--prompt-ids", "1,x"], "x"],
    [["generate", "--checkpoint", DEMO, "--prompt", "a", "--max-new", "-3"], "--max-new"],
    [["generate", "--checkpoint", DEMO, "--prompt", "a", "--greedy", "--temperature", "1"], "--greedy"],
    [["golden"], "dir"],
    [["share", "--checkpoint", DEMO], "--socket"],
    [["serve", "--port", "65536"], "65535"],
    [["memory-cycle", "--bytes", "5 parsecs", "--chunk", "1MiB", "--cycles", "1"], "parsecs"],
    [["memory-cycle", "--bytes", "1MiB", "--chunk", "2MiB", "--cycles", "1"], "--chunk"],
  ])("%j", (args, named) => {
    const { code, out, error } = tideline(...args);
    expect(error).toContain(named);
    expect({ code, out }).toEqual({ code: 2, out: "" });
  });
});

it("shows help with examples for every command and ends with 0", () => {
  for (const command of [
    "generate",
    "golden",
    "doctor",
    "serve",
    "memory-cycle",
    "make-shape",
    "share",
    "measure-device",
  ]) {
    const { code, out } = tideline(command, "--help");
    expect(code, command).toBe(0);
    expect(out, command).toContain("Examples:");
  }
});

describe("generate", () => {
  it("gives the reference's greedy tokens as JSON", () => {
    const [first] = JSON.parse(readFileSync(resolve(LLAMA, "golden.json"), "utf8")).cases;
    const { code, out } = tideline(
      ...["generate", "--checkpoint", LLAMA, "--prompt-ids", first.prompt.join(","), "--greedy"],
      ...["--max-new", String(first.greedy.length), "--json"],
    );
    expect(code).toBe(0);
    const answer = JSON.parse(out);
    expect(answer.ids).toEqual(first.greedy);
    expect(answer.logprobs).toHaveLength(first.greedy.length);
    expect(answer.tokensPerSecond).toBeGreaterThan(0);
  });

  it("streams text, and the same text for the same seed", () => {
    const args = ["generate", "--checkpoint", DEMO, "--prompt", "The tide", "--max-new", "20", "--seed", "11"];
    const { code, out } = tideline(...args);
    expect(code).toBe(0);
    expect(out.trim()).toMatch(/[a-z]+ [a-z]+/);
    expect(tideline(...args).out).toBe(out);
  });

  it("computes on the device that is named, and says what there is where that one is missing", () => {
    const args = ["generate", "--checkpoint", LLAMA, "--prompt-ids", "1,2,3", "--greedy", "--max-new", "4", "--json"];
    const { code, out } = tideline(...args, "--device", testDevice());
    expect(code).toBe(0);
    expect(JSON.parse(out).ids).toHaveLength(4);
    const missing = tideline(...args, "--device", "cuda:99");
    expect(missing.error).toMatch(/cuda:99 cannot be used; this machine has host \(/);
    expect(missing).toMatchObject({ code: 1, out: "" });
  });

  it.each([
    ["a folder that is not there", ["--checkpoint", "/nonexistent", "--prompt", "a"], "/nonexistent"],
    ["text without a tokenizer", ["--checkpoint", LLAMA, "--prompt", "a"], "tokenizer.json"],
    ["a token id past the vocabulary", ["--checkpoint", LLAMA, "--prompt-ids", "999999"], "999999"],
    [
      "a prompt past the context",
      ["--checkpoint", LLAMA, "--prompt-ids", "1,2", "--max-new", "999999"],
      "256 positions",
    ],
  ])("fails with 1, a message and no stack for %s", (_, args, named) => {
    const { code, out, error } = tideline("generate", ...args);
    expect(error).toContain(named);
    expect(error).not.toMatch(/^\s+at /m);
    expect({ code, out }).toEqual({ code: 1, out: "" });
  });
});

it("memory-cycle gives the memory back and does not grow", () => {
  const { code, out } = tideline("memory-cycle", "--bytes", "64MiB", "--chunk", "2MiB", "--cycles", "30", "--json");
  expect(code).toBe(0);
  const { cycles, releaseMilliseconds, residentBytes } = JSON.parse(out);
  expect(cycles).toBe(30);
  expect(releaseMilliseconds).toBeGreaterThan(0);
  expect(residentBytes.after - residentBytes.released).toBeGreaterThan(60 * 2 ** 20);
  expect(residentBytes.growth).toBeLessThan(8 * 2 ** 20);
});

it("measure-device keeps what it measured where the window and plans look for it", async () => {
  await withFolder(async (folder) => {
    vi.stubEnv("TIDELINE_CONFIG_DIR", folder);
    const { code, out } = tideline("measure-device", "--device", testDevice(), "--json");
    vi.unstubAllEnvs();
    expect(code).toBe(0);
    const { device: name, description, ...link } = JSON.parse(out);
    expect(name).toBe(testDevice());
    expect(link.hostToDeviceBytesPerSecond).toBeGreaterThan(0);
    expect(openSettings(folder).linkOf({ name, description })).toEqual(link);
    expect(deviceChoices(addon).map((choice) => choice.description)).toContain(description);
  });
});

it("golden passes on the reference and fails with 1 for a folder that is none", () => {
  expect(tideline("golden", LLAMA)).toMatchObject({ code: 0, out: expect.stringContaining("tiny-llama-gqa") });
  expect(tideline("golden", "/nonexistent").code).toBe(1);
});

it("doctor names what it looked at", () => {
  const { code, out } = tideline("doctor", "--json");
  expect(code).toBe(0);
  expect(JSON.parse(out).findings.map(({ name }: { name: string }) => name)).toContain("CMake");
});
