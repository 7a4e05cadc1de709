/** Where a plan is exported to: `openrlhf@0.11`. Flags change between versions, so a version is part of the target. */
import { TidelineError } from "../../errors.ts";

/** Every launcher with the versions whose flags were read, oldest and newest. */
const KNOWN = {
  sglang: ["0.5", "0.5"],
  vllm: ["0.9", "0.27"],
  openrlhf: ["0.8", "0.11"],
  verl: ["0.7", "0.9"],
  trl: ["1.0", "1.10"],
  slime: ["0.3", "0.3"],
} as const;

export type Launcher = keyof typeof KNOWN;
export const LAUNCHERS: readonly Launcher[] = ["sglang", "vllm", "openrlhf", "verl", "trl", "slime"];

export interface Target {
  readonly launcher: Launcher;
  readonly version: Version;
}

export interface Version {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  /** Left out, the newest of the minor version. */
  readonly patch?: number;
  /** A development snapshot or candidate of before the release. */
  readonly before: boolean;
}

/**
 * The target in `name@version`; without a version, the newest that is known.
 * @throws TidelineError `bad_argument` that says what is known.
 */
export function parseTarget(text: string): Target {
  const [name = "", versionText, ...rest] = text.trim().toLowerCase().split("@");
  const launcher = LAUNCHERS.find((known) => known === name);
  if (launcher === undefined || rest.length > 0) {
    throw refused(`"${text}" is no launcher`, `allowed: ${LAUNCHERS.map(range).join(", ")}`);
  }
  const [oldest, newest] = KNOWN[launcher];
  const version = versionOf(versionText ?? newest);
  if (version === undefined) {
    throw refused(`"${versionText}" is no version of ${launcher}`, `write ${launcher}@${newest}`);
  }
  if (compareMinor(version, oldest) < 0 || compareMinor(version, newest) > 0) {
    throw refused(`the flags of ${launcher} ${version.text} are not known`, `known: ${range(launcher)}`);
  }
  return { launcher, version };
}

export function describeTarget({ launcher, version }: Target): string {
  return `${launcher}@${version.text}`;
}

/** Whether a version is `minimum` ("0.9.2") or later. */
export function atLeast(version: Version, minimum: string): boolean {
  const wanted = versionOf(minimum);
  if (wanted === undefined) throw new TidelineError({ code: "internal", message: `"${minimum}" is no version` });
  const minor = compareMinor(version, minimum);
  if (minor !== 0) return minor > 0;
  const patch = (version.patch ?? Number.POSITIVE_INFINITY) - (wanted.patch ?? 0);
  return patch > 0 || (patch === 0 && !version.before);
}

function versionOf(text: string): Version | undefined {
  const match = /^v?((\d{1,4})\.(\d{1,4})(?:\.(\d{1,4}))?(?:\.?(dev|rc|a|b|post)\d*)?)$/.exec(text);
  if (match === null) return undefined;
  const [, written = text, major, minor, patch, suffix] = match;
  return {
    text: written,
    major: Number(major),
    minor: Number(minor),
    ...(patch !== undefined && { patch: Number(patch) }),
    before: suffix !== undefined && suffix !== "post",
  };
}

function compareMinor(version: Version, other: string): number {
  const [major = 0, minor = 0] = other.split(".").map(Number);
  return version.major - major || version.minor - minor;
}

function range(launcher: Launcher): string {
  const [oldest, newest] = KNOWN[launcher];
  return oldest === newest ? `${launcher}@${newest}` : `${launcher}@${oldest} to ${newest}`;
}

function refused(message: string, hint: string): TidelineError {
  return new TidelineError({ code: "bad_argument", field: "target", message, hint });
}
