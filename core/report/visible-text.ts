/**
 * Text that a model wrote, as it can be shown: such a model writes any bytes, and some characters hide, reverse or break
 * the text around them. Those become signs that stand for them. Escaping for HTML is not done here.
 */

/** Longer texts are cut: nobody reads them in a report. */
const MOST_CHARACTERS = 2000;

/** Control characters, but tab and line feed. */
const CONTROLS = /[^\P{Cc}\t\n]/gu;
/** What has no shape or changes the direction of what follows; line and paragraph separators; noncharacters. */
const INVISIBLE = /[\p{Cf}\p{Zl}\p{Zp}\ufffe\uffff]/gu;
const LONE_SURROGATES = /\p{Cs}/gu;

export function visibleText(text: string): string {
  const shown = text.length > MOST_CHARACTERS ? text.slice(0, MOST_CHARACTERS) : text;
  const cut = text.length - shown.length;
  const visible = shown
    .replaceAll(LONE_SURROGATES, "\ufffd")
    .replaceAll(CONTROLS, pictureOf)
    .replaceAll(INVISIBLE, codeOf);
  return cut === 0 ? visible : `${visible} … (${cut} more characters)`;
}

/** U+0000 is shown as U+2400, a picture of it; there is none for the upper half. */
function pictureOf(control: string): string {
  const code = control.charCodeAt(0);
  if (code === 0x7f) return "\u2421";
  return code < 0x20 ? String.fromCharCode(0x2400 + code) : codeOf(control);
}

function codeOf(character: string): string {
  return `⟨U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
