/** The shape of a model as a plan names it: one of the catalogue, or any other by its config.json. */

import { TidelineError, toErrorData } from "../errors.ts";
import type { JsonObject } from "../input/json.ts";
import type { Architecture } from "./models/architecture.ts";
import { modelNamed } from "./models/catalogue.ts";
import { readArchitecture } from "./models/from-config.ts";
import type { PlannedModel } from "./plan.ts";

/** Read once: what is asked about a shape is remembered by its identity. */
const fromConfig = new WeakMap<object, Architecture>();

/** @throws TidelineError `plan_invalid` with `field`, for a name nobody knows and for a config.json that describes no model. */
export function architectureOf(model: PlannedModel, field: string): Architecture {
  try {
    return typeof model === "string" ? modelNamed(model, field) : architectureIn(model.config, model.name);
  } catch (cause) {
    const { field: inside, ...error } = toErrorData(cause);
    const place = typeof model === "string" ? field : [field, "config", ...(inside ? [inside] : [])].join(".");
    const message = error.message.startsWith(field) ? error.message : `${field}: ${error.message}`;
    throw new TidelineError({ ...error, code: "plan_invalid", field: place, message }, { cause });
  }
}

function architectureIn(config: JsonObject, name: string): Architecture {
  const known = fromConfig.get(config);
  if (known !== undefined) return known;
  const { architecture } = readArchitecture(config, name);
  fromConfig.set(config, architecture);
  return architecture;
}
