/** `--gpu this`: the card that this machine's driver reports, with what was measured of its link. */
import type { DeviceChoice } from "../../../core/contract/state.ts";
import { TidelineError } from "../../../core/errors.ts";
import { gpuOfDevice } from "../../../core/planner/gpus/planned-gpu.ts";
import type { PlannedGpu } from "../../../core/planner/plan.ts";
import type { Settings } from "../../session/settings.ts";
import { describeDevices } from "../devices.ts";

export const THIS = "this";

export interface ThisGpu {
  readonly gpu: PlannedGpu;
  /** What to know of its figures, and what to do about it. */
  readonly note?: string;
}

/**
 * The first card that is usable and known.
 * @throws TidelineError `device_unavailable` where none is, with what there is.
 */
export function thisGpu(devices: readonly DeviceChoice[], { linkOf }: Pick<Settings, "linkOf">): ThisGpu {
  for (const device of devices) {
    const gpu = device.problem === undefined && gpuOfDevice({ ...device, link: linkOf(device) });
    if (gpu) return gpu.measured === undefined ? { gpu, note: notMeasured(device.name) } : { gpu };
  }
  throw new TidelineError({
    code: "device_unavailable",
    field: "--gpu",
    message: `--gpu: no card of the catalogue here: ${describeDevices(devices)}`,
    hint: "Name one, such as --gpu H100.",
  });
}

function notMeasured(name: string): string {
  return `${name} was not measured yet: its bandwidths are the catalogue's; \`tideline measure-device --device ${name}\` measures them`;
}
