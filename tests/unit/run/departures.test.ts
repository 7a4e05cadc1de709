/** The plan is kept by playing, and left by hand. */
import { describe, expect, it } from "vitest";
import { departuresOf } from "../../../core/run/departures.ts";
import { allStrategies, buildSchedule } from "../../../core/schedule/build.ts";
import { checkSchedule } from "../../../core/schedule/check.ts";
import { START } from "../../../core/schedule/cursor.ts";
import { applyAction, applyWork, type MemoryState } from "../../../core/schedule/residency.ts";
import { type Action, type Item, itemsOf, type Roles } from "../../../core/schedule/schedule.ts";

const ROLES: Roles = { engine: "bf16", policy: "bf16", critic: "bf16", reference: "bf16", reward: "rule" };
const schedule = buildSchedule(allStrategies(ROLES), ROLES);
const check = checkSchedule(schedule);
if (!check.ok) throw new Error(check.problem.message);

function after(memory: MemoryState, item: Item): MemoryState {
  const { roles } = schedule;
  const outcome = item.kind === "work" ? applyWork(memory, item.work, roles) : applyAction(memory, item.action, roles);
  if (outcome.kind === "refused") throw new Error(outcome.refusal.reason);
  return outcome.state;
}

function byHand(memory: MemoryState, action: Action): MemoryState {
  const outcome = applyAction(memory, action, schedule.roles);
  if (outcome.kind === "refused") throw new Error(outcome.refusal.reason);
  return outcome.state;
}

describe("departures from the schedule", () => {
  it("are none while the schedule is played, also between what an item does and its end", () => {
    let memory = check.start;
    for (let step = 0; step < 2; step++) {
      for (const item of itemsOf(schedule)) {
        const cursor = { ...START, step, index: item.index };
        expect(departuresOf(check, { cursor, memory })).toEqual(new Map());
        memory = after(memory, item);
        expect(departuresOf(check, { cursor, memory, itemStartedSeconds: 1 })).toEqual(new Map());
      }
    }
  });

  it("are what was done by hand, until it is undone or the schedule catches up", () => {
    const offloaded = byHand(check.start, { kind: "offload", consumer: "critic.weights", to: "host" });
    const departed = departuresOf(check, { cursor: START, memory: offloaded });
    expect([...departed.keys()]).toEqual(["critic.weights"]);
    expect(departed.get("critic.weights")?.residency).toBe("resident");
    const back = byHand(offloaded, { kind: "load", consumer: "critic.weights" });
    expect(departuresOf(check, { cursor: START, memory: back })).toEqual(new Map());

    // What the first item brings anyway.
    const early = byHand(check.start, { kind: "resume", consumer: "engine.kv_cache" });
    expect([...departuresOf(check, { cursor: START, memory: early }).keys()]).toEqual(["engine.kv_cache"]);
    expect(departuresOf(check, { cursor: { ...START, index: 1 }, memory: early })).toEqual(new Map());
  });
});
