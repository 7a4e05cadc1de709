/** One instance, and the checkpoint a start was given. */
import { describe, expect, it } from "vitest";
import { checkpointOfArguments, setupSingleInstance } from "../../../electron/shell/single-instance.ts";

describe("the checkpoint among a start's arguments", () => {
  it.each([
    [["/usr/bin/tideline"], true, undefined],
    [["/usr/bin/tideline", "/models/llama"], true, "/models/llama"],
    [["/usr/bin/tideline", "--no-sandbox", "models/llama"], true, "/home/me/models/llama"],
    [["/usr/bin/tideline", "models/llama", "--enable-logging"], true, "/home/me/models/llama"],
    [["electron", "."], false, undefined],
    [["electron", "--inspect=0", ".", "/models/llama"], false, "/models/llama"],
    [["electron", ".", "../shared/qwen"], false, "/home/shared/qwen"],
  ])("%j (packaged: %s) is %s", (argv, isPackaged, expected) => {
    expect(checkpointOfArguments(argv, "/home/me", isPackaged)).toBe(expected);
  });
});

describe("a second start", () => {
  function start(hasLock: boolean) {
    const calls: string[] = [];
    const listeners = new Map<string, (...args: never[]) => void>();
    const isFirst = setupSingleInstance({
      app: {
        isPackaged: true,
        requestSingleInstanceLock: () => hasLock,
        quit: () => calls.push("quit"),
        on: (name: string, listener: (...args: never[]) => void) => listeners.set(name, listener),
      } as never,
      onSecondStart: (checkpoint) => calls.push(`second ${checkpoint}`),
    });
    const second = listeners.get("second-instance") as
      | ((event: object, argv: string[], directory: string) => void)
      | undefined;
    return { isFirst, calls, second };
  }

  it("quits at once", () => {
    expect(start(false)).toMatchObject({ isFirst: false, calls: ["quit"] });
  });

  it("hands its checkpoint to the first", () => {
    const { isFirst, calls, second } = start(true);
    second?.({}, ["/usr/bin/tideline", "llama"], "/models");
    expect(isFirst).toBe(true);
    expect(calls).toEqual(["second /models/llama"]);
  });
});
