/**
 * The fields of a config.json, asked for one at a time: every answer is checked, and every error names file, field and
 * what is allowed. Who runs a model (config.ts) and who only plans with it (core/planner/models) read through this.
 */
import type { z } from "zod";
import { TidelineError } from "../errors.ts";
import { isJsonObject, type JsonObject } from "./json.ts";
import { wholeSchema } from "./model-config.ts";

/** One JSON object with errors that name file and field; `prefix` is the path of a nested object. */
export class ConfigFields {
  private readonly object: JsonObject;
  private readonly file: string;
  private readonly prefix: string;

  constructor(object: JsonObject, file: string, prefix = "") {
    this.object = object;
    this.file = file;
    this.prefix = prefix;
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
    if (value === undefined || value === null) return undefined;
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw this.invalid(field, `${parsed.error.issues[0]?.message}, found ${shown(value)}`);
  }

  required<T>(field: string, schema: z.ZodType<T>): T {
    const value = this.optional(field, schema);
    if (value === undefined) throw this.invalid(field, "is missing");
    return value;
  }

  whole(field: string, least: number, most: number): number {
    const value = this.optional(field, wholeSchema(least, most));
    if (value === undefined)
      throw this.invalid(field, `is missing: it must be a whole number from ${least} to ${most}`);
    return value;
  }

  nested(field: string): ConfigFields | undefined {
    const value = this.raw(field);
    if (value === undefined || value === null) return undefined;
    if (!isJsonObject(value)) throw this.invalid(field, `must be an object, found ${shown(value)}`);
    return new ConfigFields(value, this.file, `${this.prefix}${field}.`);
  }

  invalid(field: string, problem: string): TidelineError {
    return this.error("checkpoint_invalid", field, problem, "Compare it with the config.json of the model's source.");
  }

  unsupported(field: string, problem: string, hint: string): TidelineError {
    return this.error("model_unsupported", field, problem, hint);
  }

  private error(code: "checkpoint_invalid" | "model_unsupported", field: string, problem: string, hint: string) {
    const path = `${this.prefix}${field}`;
    return new TidelineError({ code, message: `${this.file}: ${path} ${problem}`, file: this.file, field: path, hint });
  }
}

/** A value as an error shows it: JSON, cut short. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
