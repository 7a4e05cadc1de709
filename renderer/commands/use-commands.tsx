/** The registry as React sees it: made anew from the stores, given to every button, and driven by the keyboard here. */
import { createContext, type ReactNode, useContext, useEffect, useMemo } from "react";
import type { Client } from "../door/client.ts";
import { lastSecondsOf, runningGenerations, useActivity } from "../state/activity.ts";
import { notify } from "../state/notices.ts";
import { usePreferences } from "../state/preferences.ts";
import { usePrompt } from "../state/prompt.ts";
import { useSession } from "../state/session.ts";
import { useTimeline } from "../state/timeline.ts";
import { useView } from "../state/view.ts";
import type { Command } from "./command.ts";
import { isMac } from "./keys.ts";
import { absentBecause, buildCommands, commandForKey, execute } from "./registry.ts";

interface CommandsValue {
  readonly client: Client;
  readonly all: readonly Command[];
  readonly byId: ReadonlyMap<string, Command>;
}

const CommandsContext = createContext<CommandsValue | undefined>(undefined);

export function CommandsProvider(props: {
  readonly client: Client;
  readonly ofScreen: readonly Command[];
  readonly children: ReactNode;
}): ReactNode {
  const { client, ofScreen } = props;
  const { session, connection } = useSession();
  const generations = useActivity((store) => store.generations);
  const draft = usePrompt();
  const preferences = usePreferences();
  const shownDevice = useTimeline((store) => store.device);

  const value = useMemo((): CommandsValue => {
    const all = buildCommands({
      session,
      connected: connection === "connected",
      shownDevice,
      running: runningGenerations(generations),
      secondsOf: lastSecondsOf,
      draft,
      preferences,
      pickFolder: client.door.pickFolder,
      ofScreen,
      request: client.request,
    });
    return { client, all, byId: new Map(all.map((command) => [command.id, command])) };
  }, [client, ofScreen, session, connection, shownDevice, generations, draft, preferences]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.isComposing || belongsToPopup(event.target)) return;
      if (pressesItself(event)) return;
      const command = commandForKey(value.all, event, { typing: isTyping(event.target), mac: isMac() });
      if (command === undefined || useView.getState().dialog !== undefined) return;
      event.preventDefault();
      // Escape is pressed for many reasons; only a refusal that somebody asked about is worth words.
      if (command.refused === undefined || event.key !== "Escape") void execute(command);
    };
    window.addEventListener("keydown", onKeyDown);
    return () => window.removeEventListener("keydown", onKeyDown);
  }, [value]);

  useEffect(
    () =>
      client.door.onMenuCommand?.((id) => {
        const command = value.byId.get(id);
        if (command !== undefined) void execute(command);
        else notify(absentBecause(session?.run !== undefined));
      }),
    [client, value, session],
  );

  return <CommandsContext value={value}>{props.children}</CommandsContext>;
}

export function useCommands(): readonly Command[] {
  return useValue().all;
}

/** The command of an id; undefined when it does not exist in this state. */
export function useCommand(id: string): Command | undefined {
  return useValue().byId.get(id);
}

/** For dialogs, which gather parameters before they ask. */
export function useClient(): Client {
  return useValue().client;
}

function useValue(): CommandsValue {
  const value = useContext(CommandsContext);
  if (value === undefined) throw new Error("outside of CommandsProvider");
  return value;
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement ||
    (target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range"].includes(target.type))
  );
}

/** The space bar presses the button that has the focus; it is a shortcut everywhere else. */
function pressesItself({ key, target }: KeyboardEvent): boolean {
  return key === " " && target instanceof Element && target.closest("button, summary, input, a, [role=tab]") !== null;
}

/** Open menus and lists handle their own keys. */
function belongsToPopup(target: EventTarget | null): boolean {
  return target instanceof Element && target.closest('[role="menu"], [role="listbox"], [role="dialog"]') !== null;
}
