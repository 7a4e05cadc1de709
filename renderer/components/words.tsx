/** A sentence in which `backticks` mark what stands so in a schedule: actions and names, drawn as code. */
import { Fragment, type ReactNode } from "react";

export function Words({ text }: { readonly text: string }): ReactNode {
  return text.split("`").map((part, index) => {
    const key = `${index} ${part}`;
    return index % 2 === 1 ? <code key={key}>{part}</code> : <Fragment key={key}>{part}</Fragment>;
  });
}
