/** What a person without a tool is told. */
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { examine, runDoctor } from "../../../electron/launch/doctor.mjs";
import { isAtLeast } from "../../../electron/launch/require-node.mjs";
import { BUILD_PACKAGES, installCommand, missingBuildTools } from "../../../electron/launch/tools.mjs";

const root = join(import.meta.dirname, "../../..");
afterEach(() => vi.unstubAllEnvs());

it("compares versions as numbers", () => {
  expect(isAtLeast("20.19.0", "20.19.0")).toBe(true);
  expect(isAtLeast("v22.1", "20.19.0")).toBe(true);
  expect(isAtLeast("20.9.5", "20.19.0")).toBe(false);
  expect(isAtLeast("3.5.2", "3.20.0")).toBe(false);
});

describe("a missing tool", () => {
  it("is named with the packages of this system", () => {
    const command = (osRelease: string) => installCommand(BUILD_PACKAGES, osRelease);
    expect(command("ID=ubuntu\nID_LIKE=debian\n")).toBe("sudo apt install build-essential cmake");
    expect(command('NAME="Fedora Linux"\nID=fedora\n')).toBe("sudo dnf install gcc-c++ make cmake");
    expect(command('ID="rocky"\nID_LIKE="rhel centos fedora"\n')).toBe("sudo dnf install gcc-c++ make cmake");
    expect(command("ID=arch\n")).toBe("sudo pacman -S base-devel cmake");
    expect(command("ID=plan9\n")).toContain("Debian");
  });

  it("stops the build before CMake does, all of them at once", () => {
    vi.stubEnv("PATH", "/nonexistent");
    vi.stubEnv("CXX", "");
    expect(missingBuildTools()).toEqual(["a C++20 compiler", "CMake 3.20.0 or newer", "make or ninja"]);
  });

  it("fails the doctor when it is required, with how to get it", () => {
    vi.stubEnv("PATH", "/nonexistent");
    vi.stubEnv("CXX", "");
    vi.stubEnv("TIDELINE_ADDON", "/nonexistent/tideline.node");
    const said: string[] = [];
    const code = runDoctor({ root, json: false, write: (text) => said.push(text) });
    expect(code).toBe(1);
    expect(said.join("")).toMatch(/MISSING +CMake/);
    expect(said.join("")).toMatch(/get it: .*cmake/);
  });
});

it("the doctor looks at everything the README promises, built or not", () => {
  vi.stubEnv("TIDELINE_ADDON", "/nonexistent/tideline.node");
  const names = examine(root).map(({ name }) => name);
  for (const name of [
    "Node",
    "C++ compiler",
    "CMake",
    "nvcc",
    "CUDA kernels",
    "cuBLAS",
    "CUDA driver",
    "GPUs",
    "NVML",
    "Electron",
    "Chromium",
    "Display",
  ]) {
    expect(names).toContain(name);
  }
});

it("the doctor answers in JSON too", () => {
  vi.stubEnv("TIDELINE_ADDON", "/nonexistent/tideline.node");
  const said: string[] = [];
  runDoctor({ root, json: true, write: (text) => said.push(text) });
  for (const { name, required, found, get } of JSON.parse(said.join("")).findings) {
    expect(typeof required, name).toBe("boolean");
    expect(found ?? get, name).toBeTruthy();
  }
});
