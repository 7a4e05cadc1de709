/**
 * Who has the device: the workbench, where a person opens checkpoints, or a PPO run. A card has room for one of them, so
 * opening a run takes the workbench's models off the device, and whatever becomes of the run brings them back.
 */
import { join } from "node:path";
import type { Receipt } from "../../core/contract/vocabulary.ts";
import { TidelineError } from "../../core/errors.ts";
import type { EndedRun } from "../../core/run/ended-runs.ts";
import type { TidelineAddon } from "../../native/addon.d.ts";
import type { Actions } from "./actions.ts";
import type { Backend, Work } from "./backend.ts";
import { ownBackupsFolder } from "./backups.ts";
import type { Checkpoint } from "./checkpoint.ts";
import type { DeviceContents, NativeBackend } from "./native-backend.ts";
import type { OperationWork } from "./operations.ts";
import type { RunPlan } from "./run/plan.ts";
import { SessionRun, type SessionRunListener } from "./run/session-run.ts";

export interface DeviceOwnerOptions extends SessionRunListener {
  readonly addon: TidelineAddon;
  readonly workbench: NativeBackend;
  readonly actions: Actions;
  readonly backupsFolder: string;
  readonly onRunEnded: (phases: EndedRun) => void;
}

interface OpenRun {
  readonly run: SessionRun;
  /** What the workbench had on the device. */
  readonly before: DeviceContents;
}

export class DeviceOwner {
  readonly #options: DeviceOwnerOptions;
  readonly #closing = new AbortController();
  #open: OpenRun | undefined;
  #runs = 0;

  constructor(options: DeviceOwnerOptions) {
    this.#options = options;
  }

  /** That of whoever has the device now. */
  get backend(): Backend {
    return this.#open?.run.backend ?? this.#options.workbench;
  }

  /** The workbench's, and of all in a run that is not placed elsewhere. */
  get ownDevice(): string {
    return this.#options.workbench.observe().device.name;
  }

  /** Undefined while the workbench has it. */
  get run(): SessionRun | undefined {
    return this.#open?.run;
  }

  /** @throws TidelineError `not_found` while no run is open. */
  requireRun(): SessionRun {
    if (this.#open !== undefined) return this.#open.run;
    throw new TidelineError({ code: "not_found", message: "no PPO run is open", hint: "Open a run first." });
  }

  /** @throws TidelineError `busy`, and what opening a run throws: the workbench then has its device back. */
  async openRun(plan: RunPlan, work: OperationWork): Promise<SessionRun> {
    if (this.#open !== undefined) {
      throw new TidelineError({ code: "busy", message: "a PPO run is open already", hint: "End it first." });
    }
    const { addon, workbench, backupsFolder, actions: _, onRunEnded: __, ...listener } = this.#options;
    const { device, samplingHertz } = workbench.observe();
    const before = await workbench.vacate();
    try {
      const directory = join(ownBackupsFolder(backupsFolder), "ppo");
      const options = { id: this.#runs + 1, addon, plan, deviceName: device.name, samplingHertz, directory };
      const run = await SessionRun.open({ ...options, ...listener }, work);
      this.#runs += 1;
      this.#open = { run, before };
      return run;
    } catch (error) {
      // Also when it was the person who cancelled: that was meant for the run.
      await this.#restore(before, samplingHertz, { ...work, signal: this.#closing.signal });
      throw error;
    }
  }

  /**
   * Stops the run and gives the device back to the workbench.
   * @throws the first error of bringing back what lay there; the run is closed all the same.
   */
  async closeRun(work: Work): Promise<void> {
    const run = this.requireRun();
    await run.stop();
    this.#options.onRunEnded(run.phases);
    const { samplingHertz } = run.backend.observe();
    const before = this.#open?.before ?? { models: [] };
    // Nobody may look at a device that is being closed.
    this.#open = undefined;
    const closing = await run.close().then(
      () => [],
      (error: unknown) => [error],
    );
    const [failure] = [...closing, ...(await this.#restore(before, samplingHertz, work))];
    if (failure !== undefined) throw failure;
  }

  /** Cancels what runs here, and what is being brought back. */
  async stop(): Promise<void> {
    this.#closing.abort();
    await this.#open?.run.stop();
  }

  async close(): Promise<void> {
    const run = this.#open?.run;
    this.#open = undefined;
    await run?.close();
    await this.#options.workbench.close();
  }

  /** @returns the errors of what could not be brought back; each is told as an action too. */
  async #restore(before: DeviceContents, samplingHertz: number, work: Work): Promise<readonly unknown[]> {
    const { workbench } = this.#options;
    workbench.comeBack(samplingHertz);
    const failures: unknown[] = [];
    const bringBack = async (consumer: string, { name }: Checkpoint, load: () => Promise<Receipt>) => {
      const action = { kind: "load", consumer, label: `open ${name} again` } as const;
      const startedMs = performance.now();
      try {
        const receipt = await load();
        this.#options.actions.record(action, { receipt, milliseconds: receipt.milliseconds });
      } catch (error) {
        this.#options.actions.recordFailure(action, error, performance.now() - startedMs);
        failures.push(error);
      }
    };
    const { engine, models } = before;
    if (engine !== undefined) await bringBack("engine.weights", engine, () => workbench.open(engine, work));
    for (const { role, checkpoint } of models) {
      await bringBack(`${role}.weights`, checkpoint, () => workbench.loadModel(role, checkpoint, work));
    }
    return failures;
  }
}
