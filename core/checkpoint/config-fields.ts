/**
 * The fields of a config.json, asked for one at a time: every answer is checked, and every error names file, field and
 * what is allowed. Who runs a model (config.ts) and who only plans with it (core/planner/models) read through this.
 */
import { z } from "zod";
import type { TidelineError } from "../errors.ts";
import { type Fault, type FieldPath, refusal, shown } from "../input/fault.ts";
import { isJsonObject, type JsonObject } from "../input/json.ts";
import { parseWith } from "../input/schema-fault.ts";
import { checkpointFile } from "./checkpoint-file.ts";
import { wholeSchema } from "./model-config.ts";

export const flagSchema = z.boolean();
export const namesSchema = z.array(z.string());

/** One JSON object with errors that name file and field. */
export class ConfigFields {
  private readonly object: JsonObject;
  private readonly file: string;
  /** Where a nested object lies. */
  private readonly within: FieldPath;

  constructor(object: JsonObject, file: string, within: FieldPath = []) {
    this.object = object;
    this.file = file;
    this.within = within;
  }

  /** Whether the file says something, null included. */
  has(field: string): boolean {
    return Object.hasOwn(this.object, field);
  }

  raw(field: string): unknown {
    return this.has(field) ? this.object[field] : undefined;
  }

  /** undefined when missing or null. */
  optional<T>(field: string, schema: z.ZodType<T>): T | undefined {
    const value = this.raw(field);
    return value === undefined || value === null ? undefined : this.required(field, schema);
  }

  required<T>(field: string, schema: z.ZodType<T>): T {
    return parseWith(schema, this.raw(field), (fault) => this.refuse(field, fault));
  }

  whole(field: string, least: number, most: number): number {
    return this.required(field, wholeSchema(least, most));
  }

  nested(field: string): ConfigFields | undefined {
    const value = this.raw(field);
    if (value === undefined || value === null) return undefined;
    if (!isJsonObject(value)) throw this.invalid(field, `is ${shown(value)}: must be an object`);
    return new ConfigFields(value, this.file, [...this.within, field]);
  }

  invalid(field: string, problem: string): TidelineError {
    return this.refuse(field, { path: [], message: problem });
  }

  unsupported(field: string, problem: string, hint: string): TidelineError {
    return this.refuse(field, { path: [], message: problem, hint }, "model_unsupported");
  }

  private refuse(field: string, fault: Fault, code: "checkpoint_invalid" | "model_unsupported" = "checkpoint_invalid") {
    const source = { ...checkpointFile(this.file, "Compare it with the config.json of the model's source."), code };
    return refusal(source, { ...fault, path: [...this.within, field, ...fault.path] });
  }
}
