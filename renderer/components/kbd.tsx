/** A shortcut, drawn as keys. */
import type { ReactNode } from "react";
import { type Chord, chordLabels, isMac } from "../commands/keys.ts";

export function Kbd({ chord }: { readonly chord: Chord }): ReactNode {
  return (
    <span className="kbd">
      {chordLabels(chord, isMac()).map((label) => (
        <kbd key={label}>{label}</kbd>
      ))}
    </span>
  );
}
