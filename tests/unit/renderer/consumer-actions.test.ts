import { describe, expect, it } from "vitest";
import type { ConsumerState, EngineState } from "../../../core/contract/state.ts";
import { actionId, actionsFor } from "../../../renderer/commands/consumer-actions.ts";
import { consumer, sessionState } from "./fake-door.ts";

const { engine: idle, device: host } = sessionState();

function engine(status: "idle" | "running" | "paused" | "swapping"): EngineState {
  return idle.status === "empty" ? idle : { ...idle, status };
}

function ids(of: ConsumerState, state: EngineState = idle, others: readonly ConsumerState[] = []): readonly string[] {
  return actionsFor({ consumer: of, engine: state, consumers: [of, ...others], device: host })
    .filter(({ refused }) => refused === undefined)
    .map((action) => actionId(of.consumer, action));
}

describe("what can be done to a consumer", () => {
  it("resident weights can be released every way that keeps or discards them, and swapped", () => {
    expect(ids(consumer("engine.weights", 6))).toEqual([
      "release.engine.weights.host.return",
      "release.engine.weights.disk.return",
      "release.engine.weights.discard.return",
      "release.engine.weights.discard.hold",
      "engine.swap",
    ]);
  });

  it("a current backup makes dropping without a copy possible, an outdated one does not", () => {
    const backup = { where: "host", bytes: 6, clean: true } as const;
    expect(ids(consumer("engine.weights", 6, { backup }))[0]).toBe("release.engine.weights.clean.return");
    expect(ids(consumer("engine.weights", 6, { backup: { ...backup, clean: false } }))).not.toContain(
      "release.engine.weights.clean.return",
    );
  });

  it("undefined contents and scratch memory can only be discarded", () => {
    const onlyDiscard = (name: string) => [`release.${name}.discard.return`, `release.${name}.discard.hold`];
    expect(ids(consumer("engine.kv_cache", 64, { contents: "undefined" }))).toEqual(onlyDiscard("engine.kv_cache"));
    expect(ids(consumer("workspace", 6))).toEqual(onlyDiscard("workspace"));
  });

  it.each(["released", "host", "disk"] as const)("what is %s can be resumed and not released", (residency) => {
    expect(ids(consumer("engine.kv_cache", 64, { residency }))).toEqual(["resume.engine.kv_cache"]);
  });

  it("shared weights have nothing of their own to release or resume", () => {
    expect(ids(consumer("engine.weights", 6, { residency: "shared", sharedWith: "policy.weights" }))).toEqual([
      "engine.swap",
    ]);
  });

  it("a model whose bytes the engine reads can be neither released nor unloaded, and says who reads them", () => {
    const reader = consumer("engine.weights", 6, { residency: "shared", sharedWith: "policy.weights" });
    const policy = consumer("policy.weights", 6);
    expect(ids(policy, idle, [reader])).toEqual([]);
    const reasons = actionsFor({ consumer: policy, engine: idle, consumers: [reader, policy], device: host })
      .filter(({ kind }) => kind !== "lend")
      .map((action) => action.refused);
    expect(reasons.every((reason) => reason?.includes("engine.weights"))).toBe(true);
  });

  describe("lending", () => {
    const weights = (change: Parameters<typeof consumer>[2] = {}, name = "engine.weights") =>
      actionsFor({ consumer: consumer(name, 6, change), engine: idle, consumers: [], device: { name: "cuda:0" } });
    const lent = (borrowers: number) => ({ loan: { path: "/run/engine.weights.sock", borrowers } });
    const kinds = (actions: ReturnType<typeof weights>) =>
      actions.flatMap(({ kind }) => (["lend", "end_loan", "copy_socket"].includes(kind) ? [kind] : []));

    it("weights on a GPU are lent, and what is lent can be taken back", () => {
      expect(kinds(weights())).toEqual(["lend"]);
      expect(kinds(weights({}, "policy.weights"))).toEqual(["lend"]);
      expect(kinds(weights(lent(0)))).toEqual(["end_loan", "copy_socket"]);
      expect(kinds(weights({}, "engine.kv_cache"))).toEqual([]);
      // They are another's, and lent there.
      expect(kinds(weights({ residency: "shared", sharedWith: "policy.weights" }))).toEqual([]);
      expect(weights().find(({ kind }) => kind === "lend")?.refused).toBeUndefined();
    });

    it("says why not: memory of the host, weights that are not there", () => {
      const onHost = actionsFor({ consumer: consumer("engine.weights", 6), engine: idle, consumers: [], device: host });
      expect(onHost.find(({ kind }) => kind === "lend")?.refused).toMatch(/host.*choose a GPU/);
      expect(weights({ residency: "host" }).find(({ kind }) => kind === "lend")?.refused).toMatch(/resume/);
    });

    it("nothing is released or unloaded while a process has it mapped", () => {
      const refused = (name: string, borrowers: number) =>
        weights(lent(borrowers), name)
          .filter(({ kind }) => kind === "release" || kind === "unload")
          .map((action) => action.refused);
      for (const name of ["engine.weights", "policy.weights"]) {
        expect(new Set(refused(name, 0))).toEqual(new Set([undefined]));
        expect(new Set(refused(name, 2))).toEqual(new Set([`${name} is mapped by 2 processes: end its loan first`]));
      }
      expect(weights(lent(1)).find(({ kind }) => kind === "end_loan")?.destructive).toBe(true);
    });
  });

  it("nothing of the engine is released while it runs or swaps; a paused engine allows it", () => {
    expect(ids(consumer("engine.kv_cache", 64), engine("running"))).toEqual([]);
    expect(ids(consumer("engine.kv_cache", 64), engine("swapping"))).toEqual([]);
    expect(ids(consumer("engine.kv_cache", 64), engine("paused"))).not.toEqual([]);
    expect(ids(consumer("reference.weights", 6), engine("running"))).toContain("release.reference.weights.host.return");
  });

  it("says before the click what is freed, what is lost and what is refused afterwards", () => {
    const discard = actionsFor({
      consumer: consumer("engine.weights", 6),
      engine: idle,
      consumers: [],
      device: host,
    }).find((action) => action.kind === "release" && action.mode === "discard");
    expect(discard?.consequence).toBe(
      "frees 6.00 MiB on the device; contents are lost; generating is refused until weights are back",
    );
    expect(discard?.destructive).toBe(true);
  });
});
