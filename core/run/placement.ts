/**
 * On which device the engine and each role lie in a PPO run. All lie on the run's own device but for those that a placement
 * names; which device holds a consumer's memory follows from that.
 */
import { z } from "zod";
import { ROLES } from "../consumers.ts";
import { TidelineError } from "../errors.ts";
import { type Action, describeAction } from "../schedule/schedule.ts";
import type { ScheduledConsumer } from "../schedule/works.ts";

/** What can have a device of its own. A role takes its trainer along. */
export const PLACED = ["engine", ...ROLES] as const;
export type Placed = (typeof PLACED)[number];

/** "host", "cuda:1". */
export const deviceNameSchema = z.string().min(1).max(32);

/** The devices of those that do not lie on the run's own. */
export const placementSchema = z.strictObject({
  engine: deviceNameSchema.exactOptional(),
  policy: deviceNameSchema.exactOptional(),
  critic: deviceNameSchema.exactOptional(),
  reference: deviceNameSchema.exactOptional(),
  reward: deviceNameSchema.exactOptional(),
});
export type Placement = Readonly<z.infer<typeof placementSchema>>;

/** What each device may hold, of those that differ from the rest. */
export const deviceCapacitiesSchema = z.record(
  deviceNameSchema,
  z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
);
export type DeviceCapacities = Readonly<z.infer<typeof deviceCapacitiesSchema>>;

/** A device of a run, and what lies on it. */
export const placedDeviceSchema = z.object({
  name: deviceNameSchema,
  capacityBytes: z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  holds: z.array(z.enum(PLACED)),
});
export type PlacedDevice = Readonly<z.infer<typeof placedDeviceSchema>>;

export interface PlacedRun {
  /** The device of all that `placement` does not name. */
  readonly deviceName: string;
  readonly placement?: Placement | undefined;
  readonly capacityBytes: number;
  readonly deviceCapacities?: DeviceCapacities | undefined;
  /** False where a rule rewards: it lies nowhere. */
  readonly hasRewardModel: boolean;
}

/** The devices of a run, the engine's first. */
export function placedDevices(run: PlacedRun): readonly PlacedDevice[] {
  const { deviceName, placement = {}, capacityBytes, deviceCapacities = {}, hasRewardModel } = run;
  const holds = new Map<string, Placed[]>();
  for (const placed of PLACED) {
    if (placed === "reward" && !hasRewardModel) continue;
    const name = placement[placed] ?? deviceName;
    holds.set(name, [...(holds.get(name) ?? []), placed]);
  }
  return [...holds].map(([name, placed]) => ({
    name,
    capacityBytes: deviceCapacities[name] ?? capacityBytes,
    holds: placed,
  }));
}

/** Of all of them. */
export function capacityOf(devices: readonly Pick<PlacedDevice, "capacityBytes">[]): number {
  return devices.reduce((sum, { capacityBytes }) => sum + capacityBytes, 0);
}

/** @throws TidelineError `unsupported` for an action that would have the engine read the policy's memory on another device. */
export function refuseSharingAcross(
  action: Action,
  devices: { readonly engine: string; readonly policy: string },
): void {
  const { engine, policy } = devices;
  if (action.kind !== "swap" || action.method !== "share" || engine === policy) return;
  throw new TidelineError({
    code: "unsupported",
    message:
      `cannot \`${describeAction(action)}\`: the engine is on ${engine} and the policy on ${policy}, ` +
      "and memory of another device cannot be read in place",
    hint: "swap by copy, or put both on one device",
  });
}

/** Whether some of a consumer's memory lies on a device that holds these: each device with trainers has scratch for them. */
export function holdsConsumer({ holds }: Pick<PlacedDevice, "holds">, consumer: ScheduledConsumer): boolean {
  if (consumer === "activations" || consumer === "logits") return holds.some((placed) => placed !== "engine");
  const owner = consumer === "workspace" ? "engine" : consumer.slice(0, consumer.indexOf("."));
  return holds.some((placed) => placed === owner);
}
