/** `tideline measure-device`: what the window's "Measure this device" does, for machines without one. */
import type { Command } from "commander";
import type { LinkMeasurement } from "../../core/link-measurement.ts";
import { formatBandwidth, formatBytes, MIB } from "../../core/units.ts";
import { loadAddon } from "../session/addon.ts";
import { LINK_ROOM_BYTES } from "../session/measure-link.ts";
import { NativeBackend } from "../session/native-backend.ts";
import { deviceChoices } from "../session/native-observation.ts";
import { backupsPath, surroundings } from "../session/paths.ts";
import { openSettings } from "../session/settings.ts";
import { deviceNamed } from "./devices.ts";
import { interruption } from "./options.ts";

interface MeasureDeviceOptions {
  readonly device: string;
  readonly json?: true;
}

export function addMeasureDevice(program: Command): void {
  program
    .command("measure-device")
    .description("time copies on a device and between it and the host, and keep the rates for plans of this machine")
    .option("--device <name>", "cuda:0 or host", "cuda:0")
    .option("--json", "one JSON object")
    .addHelpText(
      "after",
      `
The rates are those of the window's "Measure this device", kept in the same settings; \`tideline plan --gpu this\` plans with them.

Examples:
  tideline measure-device
  tideline measure-device --device host --json`,
    )
    .action(measureDevice);
}

async function measureDevice({ device: name, json }: MeasureDeviceOptions): Promise<void> {
  const stopped = interruption();
  const addon = loadAddon();
  const device = deviceNamed(name, deviceChoices(addon));
  const capacityBytes = Math.min(LINK_ROOM_BYTES, device.totalBytes);
  const settings = { device: name, capacityBytes, kvCacheBytes: MIB, samplingHertz: 10 };
  const kept = openSettings();
  const backend = new NativeBackend(addon, settings, backupsPath(surroundings()));
  try {
    const link = await backend.measureLink({ signal: stopped, progress: () => {} });
    process.stdout.write(
      json ? `${JSON.stringify({ device: name, description: device.description, ...link })}\n` : describe(name, link),
    );
    kept.saveLink(device, link);
  } finally {
    await backend.close();
  }
}

function describe(name: string, link: LinkMeasurement): string {
  return [
    `${name}, copies of ${formatBytes(link.bytes)}, the fastest of ${link.repetitions}`,
    `from the host  ${formatBandwidth(link.hostToDeviceBytesPerSecond)}`,
    `to the host    ${formatBandwidth(link.deviceToHostBytesPerSecond)}`,
    `on the device  ${formatBandwidth(link.memoryBytesPerSecond)}, read and written`,
    "",
  ].join("\n");
}
