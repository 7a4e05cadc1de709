/** Phases over the timeline: as they are where they are wide, as steps where they are slivers. */
import { describe, expect, it } from "vitest";
import { phaseBands } from "../../../core/timeline/phase-bands.ts";
import type { Phase } from "../../../core/timeline/timeline.ts";

/** `steps` steps of a second, each of ten phases. */
function stepsOf(steps: number): readonly Phase[] {
  return Array.from({ length: steps * 10 }, (_, index) => ({
    name: `phase_${index % 10}`,
    step: Math.floor(index / 10),
    startSeconds: index / 10,
    endSeconds: (index + 1) / 10,
  }));
}

const names = (phases: readonly Phase[]) => phases.map(({ name }) => name);

describe("phase bands", () => {
  const phases = stepsOf(20);

  it("are the phases where they are wide enough", () => {
    expect(phaseBands(phases, { startSeconds: 3, endSeconds: 5 }, 1000)).toBe(phases);
  });

  it("are steps where phases would be slivers, and several steps where steps would be", () => {
    const steps = phaseBands(phases, { startSeconds: 0, endSeconds: 10 }, 1000);
    expect(names(steps).slice(0, 3)).toEqual(["step 1", "step 2", "step 3"]);
    expect(steps).toHaveLength(20);
    expect(steps[4]).toMatchObject({ startSeconds: 4, endSeconds: 5 });
    expect(names(phaseBands(phases, { startSeconds: 0, endSeconds: 40 }, 1000))).toEqual([
      "steps 1–4",
      "steps 5–8",
      "steps 9–12",
      "steps 13–16",
      "steps 17–20",
    ]);
  });

  it("do not regroup while one pans", () => {
    const at = (startSeconds: number) => phaseBands(phases, { startSeconds, endSeconds: startSeconds + 10 }, 300);
    expect(names(at(3.3))).toEqual(names(at(0)));
  });

  it("do not join the steps of one run with those of the next", () => {
    const later = phases.map((phase) => ({
      ...phase,
      startSeconds: phase.startSeconds + 20,
      endSeconds: (phase.endSeconds ?? 0) + 20,
    }));
    const bands = phaseBands([...phases, ...later], { startSeconds: 0, endSeconds: 400 }, 1000);
    expect(names(bands)).toEqual(["steps 1–20", "steps 1–20"]);
    expect(bands[0]?.endSeconds).toBe(20);
  });

  it("are open while the last phase is", () => {
    const open = phases.map((phase, index) =>
      index === phases.length - 1 ? { ...phase, endSeconds: undefined } : phase,
    );
    expect(phaseBands(open, { startSeconds: 0, endSeconds: 40 }, 1000).at(-1)?.endSeconds).toBeUndefined();
  });

  it("are not told by one phase that somebody stopped in", () => {
    const paused = phases.map((phase, index) =>
      index === 5 ? { ...phase, endSeconds: phase.startSeconds + 60 } : phase,
    );
    expect(names(phaseBands(paused, { startSeconds: 0, endSeconds: 10 }, 1000))[0]).toBe("step 1");
  });
});
