/**
 * Where text stops being JSON. JSON.parse knows, but says so in words that differ between engines and versions, often
 * without the place. Asked only of text that it refused.
 */

export interface SyntaxFault {
  /** From 1, as editors count them. */
  readonly line: number;
  readonly column: number;
  /** What stands there; undefined where the text ends. */
  readonly found: string | undefined;
  /** What JSON has there: "a value", `":"`. */
  readonly wanted: string;
}

/** What may come next; the closing bracket at once only where it was just opened. */
type Next = "value" | "value or bracket" | "name" | "name or bracket" | "colon" | "comma" | "end";

/** A loop with a stack of its own: a stranger's text may be nested deeper than functions can be. */
export function findSyntaxFault(text: string): SyntaxFault {
  const open: ("{" | "[")[] = [];
  let next = "value" as Next;
  let at = 0;
  const wanted = () => wantedOf(next, open.at(-1));
  const afterValue = (): Next => (open.length === 0 ? "end" : "comma");
  for (;;) {
    while (isSpace(text[at])) at++;
    const character = text[at];
    const closing = open.at(-1) === "{" ? "}" : "]";
    const takesName = next === "name" || next === "name or bracket";
    const takesValue = next === "value" || next === "value or bracket";
    const takesBracket = next === "comma" || next === "name or bracket" || next === "value or bracket";
    if (character === undefined) return faultAt(text, at, wanted());
    if (character === closing && takesBracket) {
      open.pop();
      at++;
      next = afterValue();
    } else if (character === "," && next === "comma") {
      next = open.at(-1) === "{" ? "name" : "value";
      at++;
    } else if (character === ":" && next === "colon") {
      next = "value";
      at++;
    } else if ((character === "{" || character === "[") && takesValue) {
      open.push(character);
      next = character === "{" ? "name or bracket" : "value or bracket";
      at++;
    } else if (character === '"' && (takesName || takesValue)) {
      const string = readString(text, at);
      if (string.wanted !== undefined) return faultAt(text, string.at, string.wanted);
      at = string.at;
      next = takesName ? "colon" : afterValue();
    } else {
      const word = takesValue ? wordAt(text, at) : "";
      if (!isJson(word)) return faultAt(text, at, wanted());
      at += word.length;
      next = afterValue();
    }
  }
}

function wantedOf(next: Next, open: "{" | "[" | undefined): string {
  const bracket = open === "{" ? '"}"' : '"]"';
  switch (next) {
    case "value":
      return "a value";
    case "value or bracket":
      return `a value or ${bracket}`;
    case "name":
      return "a name in double quotes";
    case "name or bracket":
      return `a name in double quotes or ${bracket}`;
    case "colon":
      return '":"';
    case "comma":
      return `"," or ${bracket}`;
    case "end":
      return "the end";
  }
}

/** The place after the string that begins at `start`; with `wanted`, the place where it is none. */
function readString(text: string, start: number): { readonly at: number; readonly wanted?: string } {
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at] ?? "";
    if (character === '"') return { at: at + 1 };
    if (character < " ") return { at, wanted: "the text's closing quote" };
    if (character !== "\\") continue;
    const length = text[at + 1] === "u" ? 6 : 2;
    if (at + length <= text.length && !isJson(`"${text.slice(at, at + length)}"`)) {
      return { at, wanted: 'a backslash written as "\\\\"' };
    }
    at += length - 1;
  }
  return { at: text.length, wanted: "the text's closing quote" };
}

function faultAt(text: string, at: number, wanted: string): SyntaxFault {
  let line = 1;
  let lineStart = 0;
  for (let end = text.indexOf("\n"); end >= 0 && end < at; end = text.indexOf("\n", lineStart)) {
    line++;
    lineStart = end + 1;
  }
  return { line, column: at - lineStart + 1, wanted, found: at < text.length ? foundAt(text, at) : undefined };
}

const MOST_SHOWN = 20;

function foundAt(text: string, at: number): string {
  const character = String.fromCodePoint(text.codePointAt(at) ?? 0);
  if (character === "\n" || character === "\r") return "the end of the line";
  // What is no text, read as if it were.
  if (character < " " || character === "\uFFFD" || character === "\uFEFF") return "a character that is no text";
  const found = character === "\\" ? text.slice(at, at + 2) : wordAt(text, at).slice(0, MOST_SHOWN) || character;
  return found === '"' ? "a quote" : `"${found}"`;
}

/** The letters, digits and signs from here on: a number, `true`, or something that is neither. */
function wordAt(text: string, start: number): string {
  let end = start;
  while (/[\w.+-]/.test(text[end] ?? "")) end++;
  return text.slice(start, end);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && " \t\r\n".includes(character);
}
