/** What was measured of a device's memory and of its link to the host, on request: settings keep it, plans take it. */
import { z } from "zod";

const bytesPerSecond = z.number().positive().max(Number.MAX_SAFE_INTEGER);

export const linkMeasurementSchema = z.strictObject({
  hostToDeviceBytesPerSecond: bytesPerSecond,
  deviceToHostBytesPerSecond: bytesPerSecond,
  /** Bytes read and bytes written by a copy on the device, together. */
  memoryBytesPerSecond: bytesPerSecond,
  /** Copied at a time. */
  bytes: z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
  /** Of which the fastest counts. */
  repetitions: z.number().int().positive().max(1000),
});
export type LinkMeasurement = z.infer<typeof linkMeasurementSchema>;
