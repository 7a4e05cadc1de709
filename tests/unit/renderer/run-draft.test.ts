/** Which workload a draft of a run means: a file, and checkpoints of one's own for its roles. */
import { expect, it } from "vitest";
import { buildSchedule } from "../../../core/schedule/build.ts";
import { NO_STRATEGIES } from "../../../core/schedule/strategies.ts";
import { requestOf, useRunDraft, workloadOf } from "../../../renderer/state/run-draft.ts";
import { roles } from "./fake-run.ts";

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
