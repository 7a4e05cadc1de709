/**
 * A plan as one line of text, to be pasted into a chat or an issue: `tideline-plan-1.<JSON as base64url>.<CRC-32>`. The
 * number is the line's own version; the plan inside carries its own.
 */
import { TidelineError } from "../errors.ts";
import type { Plan } from "./plan.ts";
import { parsePlan } from "./plan-file.ts";

const PREFIX = "tideline-plan-";
const VERSION = "1";
const SOURCE = "the line";

export function planToLine(plan: Plan): string {
  const bytes = new TextEncoder().encode(JSON.stringify(plan));
  return `${PREFIX}${VERSION}.${toBase64Url(bytes)}.${checksum(bytes)}`;
}

/**
 * The plan of a line. Spaces and line breaks, as mail programs put them in, are taken out.
 * @throws TidelineError `plan_invalid`: it is no such line, of a version to come, or a field is wrong; `plan_damaged`: it
 * was cut or changed on its way.
 */
export function planFromLine(line: string): Plan {
  const [, version, body, sum] = /^tideline-plan-(\d+)\.([^.]*)\.?(.*)$/.exec(line.replace(/\s+/g, "")) ?? [];
  if (version === undefined || body === undefined) {
    throw new TidelineError({
      code: "plan_invalid",
      message: `this text is no plan: a plan's line begins with ${PREFIX}${VERSION}`,
      hint: "Copy the whole line, from its first character to its last.",
    });
  }
  if (version !== VERSION) {
    throw new TidelineError({
      code: "plan_invalid",
      message: `the line is of version ${version}, this Tideline reads version ${VERSION}`,
      hint: "Use a newer Tideline, or ask for the plan as a file.",
    });
  }
  const bytes = fromBase64Url(body);
  if (bytes === undefined || checksum(bytes) !== sum) {
    throw new TidelineError({
      code: "plan_damaged",
      message: "the line was cut or changed on its way: its checksum does not match",
      hint: "Copy it again, from its first character to its last.",
    });
  }
  return parsePlan(new TextDecoder().decode(bytes), SOURCE);
}

function toBase64Url(bytes: Uint8Array): string {
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function fromBase64Url(text: string): Uint8Array | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return undefined;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  // The last character has bits to spare, which a decoder passes over.
  return toBase64Url(bytes) === text ? bytes : undefined;
}

/** CRC-32 (IEEE 802.3) in eight hexadecimal digits. */
function checksum(bytes: Uint8Array): string {
  let remainder = 0xffffffff;
  for (const byte of bytes) {
    remainder ^= byte;
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0xedb88320 : 0);
  }
  return (~remainder >>> 0).toString(16).padStart(8, "0");
}
