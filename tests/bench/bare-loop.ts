/**
 * The loop that stepping is compared with: the works and actions of a schedule, one after the other, and nothing else. No
 * cursor, no rules, no records, no sampler. It takes turns with the run on the same models.
 */
import { checkSchedule } from "../../core/schedule/check.ts";
import type { Workload } from "../../electron/ppo/workload.ts";
import { PpoWorks } from "../../electron/ppo/works.ts";
import { loadAddon } from "../../electron/session/addon.ts";
import type { NativeDevice, TidelineAddon } from "../../native/addon.d.ts";
import { type Strategies, scheduleOf, step, withRun } from "./demo.ts";

/** Two ways to do so many steps; each says how many seconds one took. */
export interface BothLoops {
  readonly stepped: (steps: number) => Promise<number>;
  readonly bare: (steps: number) => Promise<number>;
}

export function withBothLoops(
  workload: Workload,
  strategies: Strategies,
  use: (loops: BothLoops) => Promise<void>,
): Promise<void> {
  const check = checkSchedule(scheduleOf(workload, strategies));
  if (!check.ok) throw new Error(check.problem.message);
  const items = check.moments.filter(({ outcome }) => outcome === "done").map(({ item }) => item);
  const { signal } = new AbortController();
  const sampler = new Sampler(loadAddon());
  return withRun(
    workload,
    strategies,
    async (started) => {
      const { backend } = started;
      const works = new PpoWorks(backend, workload);
      let number = 0;
      const bare = async (steps: number) => {
        for (const end = number + steps; number < end; number += 1) {
          works.begin(number);
          for (const item of items) {
            if (item.kind === "work") await works.run(item.work, signal);
            else await backend.act(item.action, signal);
          }
        }
      };
      // The first step takes what is taken only once.
      await step(started, 1);
      await use({
        bare: (steps) => secondsOf(() => bare(steps), steps),
        stepped: (steps) => sampler.during(() => secondsOf(() => step(started, steps), steps)),
      });
    },
    sampler.addon,
  );
}

async function secondsOf(action: () => Promise<void>, steps: number): Promise<number> {
  const startMs = performance.now();
  await action();
  return (performance.now() - startMs) / 1000 / steps;
}

/** A run samples from its beginning to its end; this one only while it is told to. */
class Sampler {
  readonly addon: TidelineAddon;
  #start: (() => ReturnType<NativeDevice["startTelemetry"]>) | undefined;

  constructor(addon: TidelineAddon) {
    this.addon = { ...addon, openDevice: (options) => this.#take(addon.openDevice(options)) };
  }

  async during<T>(action: () => Promise<T>): Promise<T> {
    const telemetry = this.#start?.();
    try {
      return await action();
    } finally {
      telemetry?.stop();
    }
  }

  #take(device: NativeDevice): NativeDevice {
    const start = device.startTelemetry.bind(device);
    const startTelemetry: NativeDevice["startTelemetry"] = (...given) => {
      this.#start = () => start(...given);
      return { setRate: () => {}, stop: () => {} };
    };
    return Object.defineProperty(device, "startTelemetry", { value: startTelemetry });
  }
}
