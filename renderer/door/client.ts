/**
 * The typed side of a door: requests are checked before they leave, answers and events when they arrive, and a refusal
 * becomes a TidelineError. Everything else in the renderer deals in the contract's types only.
 */

import { type CommandAnswer, type CommandInput, type CommandName, commands } from "../../core/contract/commands.ts";
import { answerEnvelopeSchema, type Door, eventSchema, type SessionEvent } from "../../core/contract/messages.ts";
import { TidelineError } from "../../core/errors.ts";
import { refusal } from "../../core/input/fault.ts";
import { parseWith } from "../../core/input/schema-fault.ts";

/** Questions that the session answers at once; silence means something is wrong. */
const QUICK_COMMANDS: ReadonlySet<CommandName> = new Set<CommandName>([
  "observe",
  "history",
  "generate",
  "cancel_generation",
  "cancel_operation",
  "list_folder",
  "forget_recent",
  "pause_run",
  "cancel_run",
  "set_breakpoints",
  "set_pace",
]);
const QUICK_ANSWER_MS = 15_000;

export interface Client {
  readonly door: Door;
  /**
   * Asks the session.
   * @throws TidelineError with the session's own error, or `bad_argument` (the request is malformed), `bad_message`
   *   (the answer is), `session_lost` (no answer).
   */
  request<Name extends CommandName>(command: Name, params: CommandInput<Name>): Promise<CommandAnswer<Name>>;
  /** Valid events go to `onEvent`, a malformed one to `onProblem`; returns the function that stops both. */
  subscribe(onEvent: (event: SessionEvent) => void, onProblem: (error: TidelineError) => void): () => void;
}

export function createClient(door: Door, quickAnswerMs = QUICK_ANSWER_MS): Client {
  let nextId = 1;

  async function request<Name extends CommandName>(
    command: Name,
    params: CommandInput<Name>,
  ): Promise<CommandAnswer<Name>> {
    const source = { name: command, isMessage: true, code: "bad_argument" } as const;
    const checked = parseWith<unknown>(commands[command].request, params, (fault) => refusal(source, fault));
    const id = nextId++;
    const sent = door.send({ id, command, params: checked });
    const raw = QUICK_COMMANDS.has(command) ? await within(quickAnswerMs, sent, command) : await sent;
    const envelope = answerEnvelopeSchema.safeParse(raw);
    if (!envelope.success) throw malformed(`the answer to ${command}`);
    if (!envelope.data.ok) throw new TidelineError(envelope.data.error);
    const answer = commands[command].answer.safeParse(envelope.data.value);
    if (!answer.success) throw malformed(`the answer to ${command}`, answer.error.issues[0]?.path.join("."));
    // The schema that was just applied is this command's, which TypeScript cannot follow through the lookup.
    return answer.data as CommandAnswer<Name>;
  }

  return {
    door,
    request,
    subscribe(onEvent, onProblem) {
      return door.subscribe((raw) => {
        const event = eventSchema.safeParse(raw);
        if (event.success) onEvent(event.data);
        else onProblem(malformed("an event", event.error.issues[0]?.path.join(".")));
      });
    },
  };
}

async function within<T>(ms: number, answer: Promise<T>, command: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new TidelineError({
            code: "session_lost",
            message: `the session did not answer ${command} within ${ms / 1000} s`,
            hint: "reload the window; if that does not help, restart Tideline",
          }),
        ),
      ms,
    );
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function malformed(what: string, field?: string): TidelineError {
  return new TidelineError({
    code: "bad_message",
    message: `${what} from the session is malformed`,
    hint: "the window and the session are of different versions: reload the window",
    ...(field === undefined || field === "" ? {} : { field }),
  });
}
