/** Files as a page can reach them, in a browser and in the desktop window alike: chosen, dropped, saved, copied. */
import { TidelineError } from "../../core/errors.ts";

export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** A file that the person chooses; undefined when they do not. */
export function chooseTextFile(accept: string): Promise<TextFile | undefined> {
  return new Promise((done, fail) => {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = accept;
    input.addEventListener("cancel", () => done(undefined));
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file === undefined) done(undefined);
      else file.text().then((text) => done({ name: file.name, text }), fail);
    });
    input.click();
  });
}

/** Saves as the window's shell does: into the folder for downloads, or where it asks for. */
export function saveFile(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has begun; the address is not needed once it is under way.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** "4×H100, colocated" as the beginning of a file's name. */
export function fileStem(name: string): string {
  const stem = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "");
  return stem === "" ? "plan" : stem;
}

/** @throws TidelineError where the window may not use the clipboard. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    if (!copySelected(text)) {
      throw new TidelineError({
        code: "bad_argument",
        message: "the clipboard is not allowed here",
        hint: "Select the text and copy it, or save it as a file.",
      });
    }
  }
}

/** The older way, which needs no permission and no secure origin. */
function copySelected(text: string): boolean {
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  (document.querySelector("[role=dialog]") ?? document.body).append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}
