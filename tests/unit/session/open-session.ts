/** A session over the fake addon, with settings and backups in a folder of its own, for tests of the session. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CommandAnswer, type CommandInput, type CommandName, commands } from "../../../core/contract/commands.ts";
import type { SessionEvent } from "../../../core/contract/messages.ts";
import { TidelineError } from "../../../core/errors.ts";
import { Session } from "../../../electron/session/session.ts";
import { openSettings } from "../../../electron/session/settings.ts";
import { type FakeAddon, fakeAddon } from "./fake-addon.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/checkpoints");
export const LLAMA = join(FIXTURES, "tiny-llama-gqa");
export const QWEN = join(FIXTURES, "tiny-qwen3-qknorm");
export const DEMO = join(import.meta.dirname, "../../../assets/demo");

export interface TestSession {
  readonly session: Session;
  readonly addon: FakeAddon;
  readonly events: SessionEvent[];
  readonly folder: string;
  /** Sends a command and gives its answer, or throws its error as a TidelineError. */
  ask<Name extends CommandName>(command: Name, params?: CommandInput<Name>): Promise<CommandAnswer<Name>>;
}

export interface TestSessionOptions {
  readonly addon?: FakeAddon;
  readonly capacityBytes?: number;
  readonly kvCacheBytes?: number;
  readonly folder?: string;
  readonly device?: string;
}

export function openTestSession({
  addon = fakeAddon(),
  folder = mkdtempSync(join(tmpdir(), "tideline-session-")),
  ...wanted
}: TestSessionOptions = {}): TestSession {
  const settings = openSettings(folder);
  settings.saveBackend({ capacityBytes: 100_000, kvCacheBytes: 5_000, ...wanted });
  const session = new Session({ addon, settings, backupsFolder: join(folder, "backups"), checkItself: true });
  const events: SessionEvent[] = [];
  session.subscribe((event) => events.push(event));
  let id = 0;
  return {
    session,
    addon,
    events,
    folder,
    async ask(command, params) {
      const answer = await session.handle({ id: ++id, command, params: params ?? {} });
      if (!answer.ok) throw new TidelineError(answer.error);
      return commands[command].answer.parse(answer.value) as CommandAnswer<typeof command>;
    },
  };
}
