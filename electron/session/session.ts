/**
 * The session: the one object behind both doors. It answers request envelopes and tells its listeners what happens;
 * what it is made of (device, recorder, generations, operations) is put together here and nowhere else.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type CommandName, commands, isCommandName } from "../../core/contract/commands.ts";
import {
  type AnswerEnvelope,
  eventSchema,
  requestEnvelopeSchema,
  type SessionEvent,
} from "../../core/contract/messages.ts";
import type { ConsumerState, DeviceChoice, EngineState, SessionState } from "../../core/contract/state.ts";
import { TidelineError, type TidelineErrorData, toErrorData } from "../../core/errors.ts";
import { refusal, type Source } from "../../core/input/fault.ts";
import { parseWith } from "../../core/input/schema-fault.ts";
import type { SampleBatch, TidelineAddon } from "../../native/addon.d.ts";
import type { ActionRecord as ExecutedAction } from "../ppo/records.ts";
import { Actions } from "./actions.ts";
import { loadAddon } from "./addon.ts";
import type { BackendEngine } from "./backend.ts";
import { removeStaleBackups } from "./backups.ts";
import { CONFIG_FILE } from "./checkpoint.ts";
import type { CommandContext } from "./commands/context.ts";
import { runCommand } from "./commands/index.ts";
import { DeviceOwner } from "./device-owner.ts";
import { Generations } from "./generations.ts";
import { withHint } from "./hints.ts";
import { NativeBackend } from "./native-backend.ts";
import { deviceChoices } from "./native-observation.ts";
import { obstacleOf } from "./obstacles.ts";
import { Operations } from "./operations.ts";
import {
  backupsPath,
  demoCheckpointPath,
  demoWorkloadPath,
  productVersion,
  socketsPath,
  surroundings,
} from "./paths.ts";
import { mergeConsumers, Recorder } from "./recorder.ts";
import { openSettings, type Settings } from "./settings.ts";
import { throttle } from "./throttle.ts";
import { Tokenizers } from "./tokenizers.ts";

const STATE_INTERVAL_MS = 100;
/** Of a sample's row (native/addon.d.ts). */
const USED_COLUMN = 1;
/** A change of what the device uses that nobody asked for is told from here on: figures beside each other agree. */
const TOLD_BYTES = 2 ** 20;
const DEFAULT_DEVICE = "host";

export interface SessionOptions {
  readonly addon?: TidelineAddon;
  readonly settings?: Settings;
  /** Where backups to disk go. */
  readonly backupsFolder?: string;
  /** Where sockets of loans go unless a person says otherwise. */
  readonly socketsFolder?: string;
  readonly demoCheckpoint?: string;
  readonly demoWorkload?: string;
  /** Check its own answers and events against the contract: on except in a built app. */
  readonly checkItself?: boolean;
}

export class Session {
  readonly #device: DeviceOwner;
  readonly #context: CommandContext;
  readonly #recorder = new Recorder();
  readonly #settings: Settings;
  readonly #operations: Operations;
  readonly #actions: Actions;
  readonly #generations: Generations;
  readonly #devices: SessionState["devices"];
  readonly #options: SessionOptions;
  readonly #version: string;
  #knownRecents: { readonly of: Settings["recents"]; readonly recents: SessionState["recents"] } | undefined;
  readonly #listeners = new Set<(event: SessionEvent) => void>();
  readonly #statePush = throttle(STATE_INTERVAL_MS, () => {
    const state = this.state();
    this.#toldUsedBytes = new Map(state.otherDevices.map(({ device }) => [device.name, device.usedBytes]));
    this.#toldUsedBytes.set(undefined, state.device.usedBytes);
    this.#publish({ event: "state", state });
  });
  /** By device; under `undefined` the engine's. */
  #toldUsedBytes = new Map<string | undefined, number>();

  /**
   * Opens the device of the settings (the host when that one is gone). No checkpoint is open yet: see `openFirst`.
   * @throws TidelineError `unsupported` without the addon, `device_unavailable`.
   */
  constructor(options: SessionOptions = {}) {
    const places = surroundings();
    const demoCheckpoint = options.demoCheckpoint ?? demoCheckpointPath(places);
    const demoWorkload = options.demoWorkload ?? existing(demoWorkloadPath(places));
    this.#options = {
      ...options,
      ...(demoCheckpoint !== undefined && { demoCheckpoint }),
      ...(demoWorkload !== undefined && { demoWorkload }),
    };
    this.#version = productVersion(places);
    this.#settings = options.settings ?? openSettings();
    const changed = () => this.#statePush.request();
    this.#operations = new Operations(changed);
    this.#actions = new Actions(this.#operations, (action) => {
      this.#recorder.addAction(action);
      this.#publish({ event: "action", action });
    });
    const backupsFolder = options.backupsFolder ?? backupsPath(places);
    void removeStaleBackups(backupsFolder);
    const addon = options.addon ?? loadAddon();
    const workbench = this.#openWorkbench(addon, backupsFolder);
    const onSamples = (batch: SampleBatch, otherDevice?: string) => this.#takeSamples(batch, otherDevice);
    workbench.onSamples(onSamples);
    workbench.onLoans({
      onBorrowers: changed,
      onOver: (consumer, milliseconds) =>
        this.#actions.record({ kind: "end_loan", consumer, label: `end the loan of ${consumer}` }, { milliseconds }),
    });
    this.#devices = deviceChoices(addon);
    this.#device = new DeviceOwner({
      addon,
      workbench,
      actions: this.#actions,
      backupsFolder,
      onSamples,
      onChange: changed,
      onAction: (action) => this.#recordScheduled(action),
      onStep: (run, step) => this.#publish({ event: "step", run, step }),
      onRunEnded: (phases) => this.#recorder.addEndedRun(phases),
    });
    const tokenizers = new Tokenizers();
    this.#generations = new Generations(
      () => this.#device.backend,
      tokenizers,
      (generation) => {
        this.#recorder.putGeneration(generation);
        this.#publish({ event: "generation", generation });
        changed();
      },
    );
    this.#context = {
      device: this.#device,
      settings: this.#settings,
      recorder: this.#recorder,
      operations: this.#operations,
      actions: this.#actions,
      generations: this.#generations,
      tokenizers,
      ...(demoWorkload !== undefined && { demoWorkload }),
      socketsFolder: options.socketsFolder ?? socketsPath(places),
      state: () => this.state(),
      changed,
    };
  }

  /**
   * Opens what a person would want to see first: `path` where one is given, else the checkpoint used last, else the
   * demo. Never throws: a failure is an action on the timeline, and the session runs without a checkpoint.
   */
  async openFirst(path?: string): Promise<void> {
    const last = this.#settings.recents.find((recent) => isCheckpointFolder(recent.path))?.path;
    const candidates = path === undefined ? [last, this.#options.demoCheckpoint] : [path];
    for (const candidate of new Set(candidates)) {
      if (candidate === undefined) continue;
      const opened = await runCommand("open_checkpoint", { path: candidate }, this.#context).catch(() => undefined);
      if (opened !== undefined) return;
    }
  }

  /** Answers one request envelope, whatever it is; never throws. */
  async handle(raw: unknown): Promise<AnswerEnvelope> {
    try {
      const { id, command, params } = parseWith(requestEnvelopeSchema, raw, (fault) => refusal(REQUEST, fault));
      if (!isCommandName(command)) {
        throw new TidelineError({
          code: "unknown_command",
          message: `there is no command "${command}"`,
          hint: "The window and the session may be of different versions: reload the window.",
        });
      }
      if (command === "observe") this.#knownRecents = undefined;
      const value = await runCommand(command, params, this.#context);
      if (this.#options.checkItself) checkAnswer(command, value);
      return { id, ok: true, value };
    } catch (error) {
      return failure(readableId(raw), toErrorData(error));
    }
  }

  /** Tells `listener` every event until the returned function is called. */
  subscribe(listener: (event: SessionEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  state(): SessionState {
    const { backend, run } = this.#device;
    const { device, consumers, otherDevices, engine, models, samplingHertz } = backend.observe();
    const { demoCheckpoint, demoWorkload } = this.#options;
    return {
      version: this.#version,
      backend: backend.name,
      device,
      devices: this.#devices.map((choice) => withLink(choice, this.#settings)),
      consumers,
      otherDevices: [...otherDevices],
      engine: engine ? engineState(engine, consumers) : { status: "empty" },
      models: [...models],
      ...(run !== undefined && { run: run.state() }),
      recents: this.#recents(),
      ...(demoCheckpoint !== undefined && { demoCheckpoint }),
      ...(demoWorkload !== undefined && { demoWorkload }),
      operations: this.#operations.states(),
      socketsFolder: this.#context.socketsFolder,
      samplingHertz,
      droppedSamples: this.#recorder.droppedSamples,
    };
  }

  /** Cancels what runs, closes the device and forgets the listeners. */
  async close(): Promise<void> {
    this.#listeners.clear();
    this.#statePush.stop();
    await Promise.all([this.#device.stop(), this.#operations.stop()]);
    this.#generations.stop();
    await this.#device.close();
  }

  /** Looks at the disk only when the list is another one, and when a window asks for the state: not at every push. */
  #recents(): SessionState["recents"] {
    const { recents } = this.#settings;
    if (this.#knownRecents?.of !== recents) {
      const checked = recents.map((recent) => ({ ...recent, available: isCheckpointFolder(recent.path) }));
      this.#knownRecents = { of: recents, recents: checked };
    }
    return this.#knownRecents.recents;
  }

  #openWorkbench(addon: TidelineAddon, backupsFolder: string): NativeBackend {
    const wanted = this.#settings.backend;
    try {
      return new NativeBackend(addon, wanted, backupsFolder);
    } catch (error) {
      if (wanted.device === DEFAULT_DEVICE) throw error;
      this.#actions.recordFailure({ kind: "configure", label: `open device ${wanted.device}` }, error);
      return new NativeBackend(addon, { ...wanted, device: DEFAULT_DEVICE }, backupsFolder);
    }
  }

  /** What is done by hand is a command, which is recorded as such. */
  #recordScheduled({ origin, kind, consumer, label, startSeconds, endSeconds, receipt, error }: ExecutedAction): void {
    if (origin === "by_hand") return;
    const milliseconds = 1000 * (endSeconds - startSeconds);
    this.#actions.record({ kind, consumer, label }, { milliseconds, receipt, ...(error !== undefined && { error }) });
  }

  #takeSamples(raw: SampleBatch, otherDevice?: string): void {
    const batch = mergeConsumers(raw);
    this.#recorder.addSamples(batch, otherDevice);
    if (this.#listeners.size === 0) return;
    const { consumers, rows, samples, dropped } = batch;
    const newest = samples.length - samples.length / Math.max(1, rows);
    const toldBytes = this.#toldUsedBytes.get(otherDevice) ?? 0;
    const usedBytes = samples[newest + USED_COLUMN] ?? toldBytes;
    if (Math.abs(usedBytes - toldBytes) >= TOLD_BYTES) this.#statePush.request();
    const told = { consumers: [...consumers], rows, samples: Array.from(samples), dropped };
    this.#publish({
      event: "samples",
      batch: otherDevice === undefined ? told : { ...told, device: otherDevice },
    });
  }

  #publish(event: SessionEvent): void {
    if (this.#options.checkItself) eventSchema.parse(event);
    for (const listener of this.#listeners) listener(event);
  }
}

function withLink(device: DeviceChoice, settings: Settings): DeviceChoice {
  const link = settings.linkOf(device);
  return link === undefined ? device : { ...device, link };
}

/** What a window sees of the engine: stop tokens are the session's own business. */
function engineState({ stopTokenIds: _, ...engine }: BackendEngine, consumers: readonly ConsumerState[]): EngineState {
  const obstacle = engine.obstacle ?? obstacleOf(engine, consumers);
  const kv = { ...engine.kv, capacityTokens: engine.kv.blocks * engine.kv.blockTokens };
  return { ...engine, kv, ...(obstacle ? { obstacle } : {}) };
}

const REQUEST: Source = {
  name: "the request",
  isMessage: true,
  code: "bad_message",
  hint: "A request is { id, command, params }.",
};

function failure(id: number, error: TidelineErrorData): AnswerEnvelope {
  return { id, ok: false, error: withHint(error) };
}

/** The id of a request where it has a usable one, however malformed the rest, so that whoever asked can match the answer. */
function readableId(raw: unknown): number {
  const id = typeof raw === "object" && raw !== null && "id" in raw ? raw.id : undefined;
  return typeof id === "number" && Number.isSafeInteger(id) && id >= 0 ? id : 0;
}

function checkAnswer(command: CommandName, value: unknown): void {
  const checked = commands[command].answer.safeParse(value);
  if (checked.success) return;
  const issue = checked.error.issues[0];
  throw new TidelineError({
    code: "internal",
    message: `the answer to ${command} breaks the contract at ${issue?.path.join(".")}: ${issue?.message}`,
  });
}

function existing(file: string): string | undefined {
  return existsSync(file) ? file : undefined;
}

function isCheckpointFolder(path: string): boolean {
  return existsSync(join(path, CONFIG_FILE));
}
