/** The devices of this machine, as the commands name them. */
import type { DeviceChoice } from "../../core/contract/state.ts";
import { TidelineError } from "../../core/errors.ts";

/** @throws TidelineError `device_unavailable` for one that is not there or cannot be used, with what there is. */
export function deviceNamed(name: string, devices: readonly DeviceChoice[]): DeviceChoice {
  const device = devices.find((choice) => choice.name === name);
  if (device !== undefined && device.problem === undefined) return device;
  throw new TidelineError({
    code: "device_unavailable",
    field: "--device",
    message: `--device: ${name} cannot be used; this machine has ${describeDevices(devices)}`,
  });
}

/** "host (AMD EPYC, 23.5 GiB), cuda (the CUDA driver cannot be loaded: …)". */
export function describeDevices(devices: readonly DeviceChoice[]): string {
  return devices.map(({ name, description, problem }) => `${name} (${problem ?? description})`).join(", ");
}
