/**
 * Which memory actions make sense for a consumer in its state, and what each would do. Pure: the same rules make the
 * buttons of a row, the entries of the palette and their explanations. What the session would refuse is not offered,
 * or is offered with the reason when the person could change it.
 */

import { engineConsumer } from "../../core/consumers.ts";
import type { ConsumerState, DeviceState, EngineState } from "../../core/contract/state.ts";
import type { ReleaseDestination, ReleaseMode } from "../../core/contract/vocabulary.ts";
import { mappedBy } from "../../core/loan.ts";
import { formatBytes } from "../../core/units.ts";

export type ConsumerAction =
  | {
      readonly kind: "release";
      readonly mode: ReleaseMode;
      readonly destination: ReleaseDestination;
      readonly label: string;
      readonly consequence: string;
      readonly destructive: boolean;
      readonly refused?: string;
    }
  | {
      readonly kind: "resume" | "swap" | "lend" | "end_loan" | "copy_socket" | "unload";
      readonly label: string;
      readonly consequence: string;
      readonly destructive: boolean;
      readonly refused?: string;
    };

/** Everything that bears on one consumer. */
export interface ConsumerContext {
  readonly consumer: ConsumerState;
  readonly engine: EngineState;
  /** All consumers: one may be reading this one's bytes. */
  readonly consumers: readonly ConsumerState[];
  readonly device: Pick<DeviceState, "name">;
}

export function actionsFor(context: ConsumerContext): readonly ConsumerAction[] {
  const { consumer } = context;
  const actions: ConsumerAction[] = [];
  switch (consumer.residency) {
    case "resident":
      actions.push(...releases(context));
      break;
    case "released":
    case "host":
    case "disk":
      actions.push(resume(context));
      break;
    case "shared":
      break;
  }
  if (consumer.consumer === "engine.weights") actions.push(swap(context));
  if (holdsWeights(consumer.consumer) && consumer.residency !== "shared") actions.push(...lending(context));
  if (roleOf(consumer.consumer) !== undefined) actions.push(unload(context));
  return actions;
}

/** The id of the command that a consumer's action is; swapping is the engine's own. */
export function actionId(consumer: string, action: ConsumerAction): string {
  switch (action.kind) {
    case "release":
      return `release.${consumer}.${action.mode}.${action.destination}`;
    case "resume":
      return `resume.${consumer}`;
    case "swap":
      return "engine.swap";
    case "lend":
    case "end_loan":
    case "copy_socket":
    case "unload":
      return `${action.kind}.${consumer}`;
  }
}

/** The role whose model's weights this consumer is; undefined for everything else. */
export function roleOf(consumer: string): "policy" | "critic" | "reference" | "reward" | undefined {
  switch (consumer) {
    case "policy.weights":
      return "policy";
    case "critic.weights":
      return "critic";
    case "reference.weights":
      return "reference";
    case "reward.weights":
      return "reward";
    default:
      return undefined;
  }
}

function releases(context: ConsumerContext): readonly ConsumerAction[] {
  const { consumer } = context;
  const size = formatBytes(consumer.committedBytes);
  const after = afterwards(consumer.consumer);
  const refusal = refusalToRelease(context);
  const refused = refusal === undefined ? {} : { refused: refusal };
  const release = (
    mode: ReleaseMode,
    destination: ReleaseDestination,
    label: string,
    consequence: string,
  ): ConsumerAction => ({
    kind: "release",
    mode,
    destination,
    label,
    consequence,
    destructive: mode === "discard" && consumer.contents === "defined" && consumer.usedBytes > 0,
    ...refused,
  });

  const discard = [
    release("discard", "return", "Discard", `frees ${size} on the device; contents are lost; ${after}`),
    release(
      "discard",
      "hold",
      "Discard, hold in the pool",
      `keeps ${size} in this process's pool, so the next region maps it at once; contents are lost; ${after}`,
    ),
  ];
  // Scratch memory has no contents worth keeping, and undefined contents cannot be kept.
  if (consumer.consumer === engineConsumer("workspace") || consumer.contents === "undefined") return discard;

  const backup = consumer.backup;
  const clean =
    backup?.clean === true
      ? [
          release(
            "clean",
            "return",
            `Drop, the ${placeOf(backup.where)} copy is current`,
            `frees ${size}; copies nothing, because nothing changed since the backup; ${after}`,
          ),
        ]
      : [];
  return [
    ...clean,
    release(
      "host",
      "return",
      "Keep a copy in host memory",
      `frees ${size} on the device and takes up to as much host memory; resume copies it back; ${after}`,
    ),
    release(
      "disk",
      "return",
      "Keep a copy on disk",
      `frees ${size} and writes a checksummed file; resume reads it back, slower than host memory; ${after}`,
    ),
    ...discard,
  ];
}

function resume({ consumer, engine }: ConsumerContext): ConsumerAction {
  const size = formatBytes(consumer.committedBytes > 0 ? consumer.committedBytes : consumer.reservedBytes);
  const backup = consumer.backup;
  const contents =
    backup !== undefined && consumer.residency !== "released"
      ? `copies ${formatBytes(backup.bytes)} back from ${placeOf(backup.where)}`
      : holdsWeights(consumer.consumer)
        ? "contents stay undefined until weights are loaded or swapped in"
        : "it starts empty";
  const refused = engine.status === "swapping" ? { refused: "weights are being swapped: wait for that" } : {};
  return {
    kind: "resume",
    label: "Resume",
    consequence: `maps up to ${size} again at the same addresses; ${contents}`,
    destructive: false,
    ...refused,
  };
}

function swap({ engine }: ConsumerContext): ConsumerAction {
  return {
    kind: "swap",
    label: "Swap…",
    consequence:
      "replaces the engine's weights from a folder, a model in memory or another process, at the same addresses",
    destructive: false,
    ...(engine.status === "swapping" ? { refused: "a swap is under way" } : {}),
  };
}

function lending({ consumer, device }: ConsumerContext): readonly ConsumerAction[] {
  const { loan } = consumer;
  if (loan === undefined) {
    const refused =
      device.name === "host"
        ? "the host device's memory cannot be lent: choose a GPU"
        : consumer.residency !== "resident" && "it is not on the device: resume it first";
    return [
      {
        kind: "lend",
        label: "Lend…",
        consequence:
          "another process of yours, such as a trainer, maps it with no copy; meanwhile it cannot be released",
        destructive: false,
        ...(refused !== false && { refused }),
      },
    ];
  }
  return [
    {
      kind: "end_loan",
      label: "End loan",
      consequence:
        loan.borrowers === 0
          ? "nobody has it mapped; the socket is removed"
          : `it is ${mappedBy(loan)}: what is mapped there stays so, but nothing here waits for it any more`,
      destructive: loan.borrowers > 0,
    },
    { kind: "copy_socket", label: "Copy path", consequence: loan.path, destructive: false },
  ];
}

function unload(context: ConsumerContext): ConsumerAction {
  const refused = refusedByReaders(context);
  return {
    kind: "unload",
    label: "Unload",
    consequence: `removes the model and its backups; frees ${formatBytes(context.consumer.committedBytes)}`,
    destructive: true,
    ...(refused !== undefined && { refused }),
  };
}

function refusalToRelease(context: ConsumerContext): string | undefined {
  const reading = refusedByReaders(context);
  if (reading !== undefined) return reading;
  if (!ofEngine(context.consumer.consumer)) return undefined;
  if (context.engine.status === "running") return "a generation is running: stop it or pause the engine first";
  if (context.engine.status === "swapping") return "weights are being swapped: wait for that";
  return undefined;
}

/** A consumer that shares these bytes, or processes to which they are lent. */
function refusedByReaders({ consumer, consumers }: ConsumerContext): string | undefined {
  const reader = consumers.find((other) => other.sharedWith === consumer.consumer)?.consumer;
  if (reader !== undefined) return `${reader} reads these bytes: swap other weights in first`;
  return refusedWhileMapped([consumer]);
}

/** Why what would take these away is refused, while a process has one of them mapped. */
export function refusedWhileMapped(consumers: readonly ConsumerState[]): string | undefined {
  for (const { consumer, loan } of consumers) {
    if (loan !== undefined && loan.borrowers > 0) return `${consumer} is ${mappedBy(loan)}: end its loan first`;
  }
  return undefined;
}

function ofEngine(consumer: string): boolean {
  return consumer.startsWith("engine.") || consumer === engineConsumer("workspace");
}

function holdsWeights(consumer: string): boolean {
  return consumer.endsWith(".weights");
}

function afterwards(consumer: string): string {
  if (consumer === "engine.weights") return "generating is refused until weights are back";
  if (ofEngine(consumer)) return "generating is refused until it is resumed";
  return "swapping from it is refused until it is resumed";
}

function placeOf(where: "host" | "disk"): string {
  return where === "host" ? "host memory" : "disk";
}
