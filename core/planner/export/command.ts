/** A launcher's command as data, and as the text that a person pastes into a shell. */

export interface Argument {
  /** "--tp-size", or "trainer.nnodes" where the launcher takes overrides. */
  readonly name: string;
  /** Left out, it is a switch or stands for itself. */
  readonly value?: string;
}

export interface Command {
  /** What it starts: "engine", "PPO". */
  readonly starts: string;
  readonly environment: readonly Argument[];
  readonly program: string;
  readonly arguments: readonly Argument[];
  /** Whether an argument is `--name value` or Hydra's `name=value`. */
  readonly syntax: "flags" | "overrides";
}

export function argument(name: string, value?: string | number): Argument {
  return value === undefined ? { name } : { name, value: String(value) };
}

/** Leaves out what is `false` or `undefined`: lists are written with their conditions. */
export function present<Item>(...items: readonly (Item | false | undefined)[]): readonly Item[] {
  return items.filter((item): item is Item => item !== false && item !== undefined);
}

/** One argument per line, quoted for a POSIX shell. */
export function commandText({ environment, program, arguments: list, syntax }: Command): string {
  const variables = environment.map(({ name, value = "" }) => `${name}=${quoted(value)} `).join("");
  const lines = list.map(({ name, value }) => {
    if (value === undefined) return quoted(name);
    return syntax === "flags" ? `${name} ${quoted(value)}` : quoted(`${name}=${value}`);
  });
  return [`${variables}${program}`, ...lines].join(" \\\n  ");
}

function quoted(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
