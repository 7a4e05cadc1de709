import { describe, expect, it } from "vitest";
import { type Chord, chordLabels, type KeyPress, matches, worksWhileTyping } from "../../../renderer/commands/keys.ts";

function press(change: Partial<KeyPress>): KeyPress {
  return { key: "", code: "", ctrlKey: false, metaKey: false, shiftKey: false, altKey: false, ...change };
}

describe("shortcuts", () => {
  it("a physical key is the same place on every layout", () => {
    const forward: Chord = { code: "KeyW" };
    expect(matches(forward, press({ key: "z", code: "KeyW" }), false)).toBe(true);
    expect(matches(forward, press({ key: "w", code: "KeyZ" }), false)).toBe(false);
    expect(matches(forward, press({ key: "w", code: "KeyW", ctrlKey: true }), false)).toBe(false);
  });

  it("a character is found wherever the layout has it, with Shift where it needs it", () => {
    expect(matches({ key: "?" }, press({ key: "?", code: "Minus", shiftKey: true }), false)).toBe(true);
    expect(matches({ key: "?" }, press({ key: "?", code: "KeyQ" }), false)).toBe(true);
  });

  it("Mod is Ctrl, and Cmd on a Mac", () => {
    const palette: Chord = { key: "k", mod: true };
    expect(matches(palette, press({ key: "k", ctrlKey: true }), false)).toBe(true);
    expect(matches(palette, press({ key: "k", metaKey: true }), false)).toBe(false);
    expect(matches(palette, press({ key: "k", metaKey: true }), true)).toBe(true);
    expect(chordLabels(palette, false)).toEqual(["Ctrl", "K"]);
    expect(chordLabels(palette, true)).toEqual(["⌘", "K"]);
  });

  it("tells Ctrl+S from Ctrl+Shift+S", () => {
    const save: Chord = { key: "s", mod: true };
    expect(matches(save, press({ key: "S", ctrlKey: true, shiftKey: true }), false)).toBe(false);
    expect(matches({ ...save, shift: true }, press({ key: "S", ctrlKey: true, shiftKey: true }), false)).toBe(true);
  });

  it("plain characters belong to the text while somebody types", () => {
    expect(worksWhileTyping({ code: "KeyW" })).toBe(false);
    expect(worksWhileTyping({ key: "?" })).toBe(false);
    expect(worksWhileTyping({ key: "Enter", mod: true })).toBe(true);
    expect(worksWhileTyping({ key: "Escape" })).toBe(true);
  });
});
