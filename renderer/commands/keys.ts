/**
 * Keyboard shortcuts as data: how one is written, when it matches a key press, and how it is shown. Letters whose place
 * on the keyboard matters (WASD) are given by physical code, the others by the character they type.
 */

export interface Chord {
  /** The character typed (`k`, `?`) or the key's name (`Enter`, `Escape`). */
  readonly key?: string;
  /** The physical key (`KeyW`), wherever the layout puts its letter. */
  readonly code?: string;
  /** Ctrl, or Cmd on a Mac. */
  readonly mod?: boolean;
  readonly shift?: boolean;
  readonly alt?: boolean;
}

/** The parts of a KeyboardEvent that decide. */
export interface KeyPress {
  readonly key: string;
  readonly code: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
}

/** Whether a key press is this chord. Shift is not compared for characters that need it to be typed (`?`). */
export function matches(chord: Chord, press: KeyPress, mac: boolean): boolean {
  const mod = mac ? press.metaKey : press.ctrlKey;
  const otherMod = mac ? press.ctrlKey : press.metaKey;
  if (mod !== (chord.mod ?? false) || otherMod) return false;
  if (press.altKey !== (chord.alt ?? false)) return false;
  if (chord.code !== undefined) {
    return press.code === chord.code && press.shiftKey === (chord.shift ?? false);
  }
  if (press.key.toLowerCase() !== chord.key?.toLowerCase()) return false;
  return typedWithShift(chord) || press.shiftKey === (chord.shift ?? false);
}

/** Whether a chord may act while somebody types: plain characters belong to the text. */
export function worksWhileTyping(chord: Chord): boolean {
  return chord.mod === true || chord.key === "Escape" || /^F\d+$/.test(chord.key ?? "");
}

/** The keys to press, one label each: ["Ctrl", "K"]. */
export function chordLabels(chord: Chord, mac: boolean): readonly string[] {
  const labels: string[] = [];
  if (chord.mod) labels.push(mac ? "⌘" : "Ctrl");
  if (chord.alt) labels.push(mac ? "⌥" : "Alt");
  if (chord.shift) labels.push(mac ? "⇧" : "Shift");
  labels.push(keyLabel(chord));
  return labels;
}

/** One text per distinct chord, to find two commands on the same keys. */
export function chordIdentity(chord: Chord): string {
  return JSON.stringify([
    chord.key?.toLowerCase() ?? codeCharacter(chord.code ?? ""),
    chord.mod ?? false,
    chord.shift ?? false,
    chord.alt ?? false,
  ]);
}

export function isMac(): boolean {
  return typeof navigator !== "undefined" && /^Mac/.test(navigator.platform);
}

const KEY_LABELS: Readonly<Record<string, string>> = {
  Escape: "Esc",
  ArrowLeft: "←",
  ArrowRight: "→",
  ArrowUp: "↑",
  ArrowDown: "↓",
  " ": "Space",
};

function keyLabel(chord: Chord): string {
  const name = chord.key ?? codeCharacter(chord.code ?? "");
  return KEY_LABELS[name] ?? (name.length === 1 ? name.toUpperCase() : name);
}

function codeCharacter(code: string): string {
  return code.replace(/^(Key|Digit)/, "").toLowerCase();
}

function typedWithShift(chord: Chord): boolean {
  return chord.key !== undefined && chord.key.length === 1 && !/[a-z0-9 ]/i.test(chord.key);
}
