/** A consumer's colour and texture, as a small square; CSS picks the theme's one. */
import type { CSSProperties, ReactNode } from "react";
import { consumerColour, consumerTexture } from "../../core/timeline/consumer-colours.ts";

export function Swatch({ consumer }: { readonly consumer: string }): ReactNode {
  const colours: CSSProperties & Record<`--${string}`, string> = {
    "--swatch": `light-dark(${consumerColour(consumer, "light")}, ${consumerColour(consumer, "dark")})`,
  };
  return <span className="timeline-swatch" data-texture={consumerTexture(consumer)} style={colours} aria-hidden />;
}
