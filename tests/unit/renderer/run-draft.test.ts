/** Which workload a draft of a run means: a file, and checkpoints of one's own for its roles. */
import { expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { MIB } from "../../../core/units.ts";
import {
  deviceCapacityProblem,
  planOf,
  requestOf,
  useRunDraft,
  workloadOf,
} from "../../../renderer/state/run-draft.ts";
import { roles, workload } from "./fake-run.ts";

const draft = useRunDraft.getInitialState();

it("asks for the demo as it comes, for a file once it is named, and for folders that are given", () => {
  expect(workloadOf(draft)).toEqual({});
  expect(workloadOf({ ...draft, workload: "file", path: "  " })).toBeUndefined();
  expect(workloadOf({ ...draft, workload: "file", path: " /w.json " })).toEqual({ path: "/w.json" });
  const checkpoints = { policy: " /models/small ", critic: "", reward: "  " };
  expect(workloadOf({ ...draft, checkpoints })).toEqual({ checkpoints: { policy: "/models/small" } });
});

it("opens what it asked about", () => {
  const checkpoints = { policy: "/models/small", reward: "/models/judge" };
  const chosen = { ...draft, workload: "file" as const, path: "/w.json", checkpoints };
  expect(requestOf(chosen, buildSchedule(NO_STRATEGIES, roles))).toEqual({
    workload: "/w.json",
    checkpoints,
    schedule: { kind: "strategies", strategies: NO_STRATEGIES },
  });
});

it("places engine and roles as chosen, with what each device may hold where that was typed", () => {
  const chosen = {
    ...draft,
    placement: { engine: "cuda:1" },
    deviceCapacities: { "cuda:1": "64 MiB", "cuda:0": " ", host: "much" },
  };
  expect(deviceCapacityProblem(chosen, "cuda:1")).toBeUndefined();
  expect(deviceCapacityProblem(chosen, "cuda:0")).toBeUndefined();
  expect(deviceCapacityProblem(chosen, "host")).toMatch(/is not a size/);
  const { host: _, ...deviceCapacities } = chosen.deviceCapacities;
  expect(requestOf({ ...chosen, deviceCapacities }, buildSchedule(NO_STRATEGIES, roles))).toMatchObject({
    placement: { engine: "cuda:1" },
    deviceCapacities: { "cuda:1": 64 * MIB },
  });
});

it("says beforehand that devices cannot share memory, wherever the workload or the person put them", () => {
  const sharing = { ...draft, strategies: { ...NO_STRATEGIES, swap: { method: "share" } } } as const;
  const apart = { code: "unsupported", hint: "swap by copy, or put both on one device" };
  expect(planOf(sharing, workload, "cuda:0").ok).toBe(true);
  expect(planOf({ ...sharing, placement: { policy: "cuda:1" } }, workload, "cuda:0")).toMatchObject({
    ok: false,
    error: apart,
  });
  const placed = { ...workload, placement: { engine: "cuda:1" } };
  expect(planOf(sharing, placed, "cuda:0")).toMatchObject({ ok: false, error: apart });
  expect(planOf({ ...sharing, placement: { policy: "cuda:1" } }, placed, "cuda:0").ok).toBe(true);
});
