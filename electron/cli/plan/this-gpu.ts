/** `--gpu this`: the card that this machine's driver reports, with what was measured of its link. */
import { TidelineError } from "../../../core/errors.ts";
import { gpuOfDevice } from "../../../core/planner/gpus/planned-gpu.ts";
import type { PlannedGpu } from "../../../core/planner/plan.ts";
import { loadAddon } from "../../session/addon.ts";
import { deviceChoices } from "../../session/native-observation.ts";
import { openSettings } from "../../session/settings.ts";

export const THIS = "this";

/** @throws TidelineError `device_unavailable` where no card is usable or known, with what there is. */
export function thisGpu(): PlannedGpu {
  const settings = openSettings();
  const devices = deviceChoices(loadAddon());
  for (const device of devices) {
    const gpu = device.problem === undefined && gpuOfDevice({ ...device, link: settings.linkOf(device) });
    if (gpu) return gpu;
  }
  const seen = devices.map(({ name, description, problem }) => `${name} (${problem ?? description})`).join(", ");
  throw new TidelineError({
    code: "device_unavailable",
    field: "--gpu",
    message: `--gpu: no card of the catalogue here: ${seen}`,
    hint: "Name one, such as --gpu H100.",
  });
}
