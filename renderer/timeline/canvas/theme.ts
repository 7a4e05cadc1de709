/**
 * The page's theme as a canvas needs it: computed colours, mixes of them and pattern fills. Read again when the theme
 * changes; whether it is dark is taken from the surface itself, so any theme that sets the custom properties works.
 */
import { type ColourScheme, consumerColour, consumerTexture } from "../../../core/timeline/consumer-colours.ts";

export interface CanvasTheme {
  readonly scheme: ColourScheme;
  readonly surface: string;
  readonly text: string;
  readonly textSoft: string;
  readonly line: string;
  readonly accent: string;
  readonly danger: string;
  readonly font: string;
  /** Strokes where sampling was off. */
  readonly gap: CanvasPattern | string;
  /** Colours of a consumer's band. */
  band(consumer: string): BandColours;
}

export interface BandColours {
  readonly colour: string;
  /** What is in use: solid, or a texture. */
  readonly fill: CanvasPattern | string;
  /** What is committed and not in use. */
  readonly tint: string;
}

type Rgb = readonly [number, number, number];

/** @param devicePixelRatio textures are drawn in device pixels, so that their strokes stay sharp */
export function readTheme(element: Element, devicePixelRatio: number): CanvasTheme {
  const style = getComputedStyle(element);
  const read = (property: string, fallback: string): string => style.getPropertyValue(property).trim() || fallback;
  const surface = read("--surface-1", "#ffffff");
  const surfaceRgb = toRgb(surface);
  const scheme: ColourScheme = luminance(surfaceRgb) < 0.4 ? "dark" : "light";
  const textSoft = read("--text-3", scheme === "dark" ? "#8b949e" : "#6a737d");
  const bands = new Map<string, BandColours>();
  return {
    scheme,
    surface,
    text: read("--text-1", scheme === "dark" ? "#f0f3f6" : "#1b2026"),
    textSoft,
    line: read("--line", scheme === "dark" ? "#2c333c" : "#dde2e8"),
    accent: read("--accent", "#3b82f6"),
    danger: read("--danger", "#d93a4c"),
    font: style.fontFamily || "system-ui, sans-serif",
    gap: hatch(mix(toRgb(textSoft), surfaceRgb, 0.35), undefined, 8, devicePixelRatio),
    band(consumer) {
      const known = bands.get(consumer);
      if (known !== undefined) return known;
      const made = bandColours(consumer, scheme, surfaceRgb, devicePixelRatio);
      bands.set(consumer, made);
      return made;
    },
  };
}

function bandColours(consumer: string, scheme: ColourScheme, surface: Rgb, devicePixelRatio: number): BandColours {
  const colour = consumerColour(consumer, scheme);
  const rgb = toRgb(colour);
  const tint = mix(rgb, surface, scheme === "dark" ? 0.34 : 0.3);
  const texture = consumerTexture(consumer);
  switch (texture) {
    case "solid":
      return { colour, fill: colour, tint };
    case "hatched":
      return { colour, fill: hatch(colour, tint, 6, devicePixelRatio), tint };
    case "dotted":
      return { colour, fill: dots(colour, tint, devicePixelRatio), tint };
  }
}

/** Diagonal strokes on a ground (none: transparent). */
function hatch(stroke: string, ground: string | undefined, spacingPx: number, ratio: number): CanvasPattern | string {
  return tile(spacingPx, ratio, stroke, ground, (context) => {
    context.strokeStyle = stroke;
    context.lineWidth = 1.2;
    context.beginPath();
    for (const shift of [-spacingPx, 0, spacingPx]) {
      context.moveTo(shift - 1, spacingPx + 1);
      context.lineTo(shift + spacingPx + 1, -1);
    }
    context.stroke();
  });
}

function dots(colour: string, ground: string, ratio: number): CanvasPattern | string {
  return tile(5, ratio, colour, ground, (context) => {
    context.fillStyle = colour;
    context.beginPath();
    context.arc(2.5, 2.5, 1, 0, 2 * Math.PI);
    context.fill();
  });
}

function tile(
  sizePx: number,
  ratio: number,
  fallback: string,
  ground: string | undefined,
  draw: (context: CanvasRenderingContext2D) => void,
): CanvasPattern | string {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = Math.round(sizePx * ratio);
  const context = canvas.getContext("2d");
  if (context === null) return fallback;
  context.scale(canvas.width / sizePx, canvas.height / sizePx);
  if (ground !== undefined) {
    context.fillStyle = ground;
    context.fillRect(0, 0, sizePx, sizePx);
  }
  draw(context);
  const pattern = context.createPattern(canvas, "repeat");
  pattern?.setTransform(new DOMMatrix().scale(sizePx / canvas.width));
  return pattern ?? fallback;
}

/** Any CSS colour as the browser paints it. */
function toRgb(colour: string): Rgb {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = 1;
  const context = canvas.getContext("2d");
  if (context === null) return [128, 128, 128];
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red = 0, green = 0, blue = 0] = context.getImageData(0, 0, 1, 1).data;
  return [red, green, blue];
}

function mix(colour: Rgb, ground: Rgb, share: number): string {
  const [red, green, blue] = colour.map((part, i) => Math.round(part * share + (ground[i] ?? 0) * (1 - share)));
  return `rgb(${red}, ${green}, ${blue})`;
}

function luminance([red, green, blue]: Rgb): number {
  return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255;
}
