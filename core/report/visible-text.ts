/**
 * Text that a model wrote, as it can be shown: such a model writes any bytes, and some characters hide, reverse or break
 * the text around them. Those become signs that stand for them. Escaping for HTML is not done here.
 */

/** Longer texts are cut: nobody reads them in a report. */
const MOST_CHARACTERS = 2000;

/** C0 controls but tab and line feed, DEL and C1 controls. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const CONTROLS = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;
/** What has no shape, or changes the direction of what follows; line and paragraph separators; noncharacters. */
const INVISIBLE = /[\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff]/g;
const LONE_SURROGATES = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;

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
  return `⟨U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`;
}
