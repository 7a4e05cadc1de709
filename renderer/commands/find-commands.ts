/**
 * Finding commands by typing. Every word typed has to occur; nothing is guessed from scattered letters, because Enter
 * acts on the first one found and some commands discard memory.
 */
import type { Command } from "./command.ts";

/** Commands that have all the words, best first: those that can be done now, then by where the words stand. */
export function findCommands(commands: readonly Command[], query: string): readonly Command[] {
  const words = query
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== "");
  return commands
    .map((command) => ({ command, rank: rankOf(command, words) }))
    .filter(({ rank }) => rank !== undefined)
    .sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
    .map(({ command }) => command);
}

/** Smaller is better; undefined: a word is missing. */
function rankOf(command: Command, words: readonly string[]): number | undefined {
  const title = command.title.toLowerCase();
  const everything = `${title} ${command.group} ${command.label ?? ""} ${command.consequence ?? ""}`.toLowerCase();
  let rank = command.refused === undefined ? 0 : 100;
  for (const word of words) {
    if (!everything.includes(word)) return undefined;
    if (!title.includes(word)) rank += 10;
    else if (!startsWord(title, word)) rank += 1;
  }
  return rank;
}

function startsWord(text: string, word: string): boolean {
  return text.startsWith(word) || text.includes(` ${word}`) || text.includes(`.${word}`);
}
