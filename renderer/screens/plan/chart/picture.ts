/** The chart as a picture that stands by itself: its markup with the theme's colours written out, or that as pixels. */
import { type RefObject, useEffect } from "react";
import { TidelineError } from "../../../../core/errors.ts";

interface Picture {
  readonly svg: SVGSVGElement;
  readonly name: string;
}

/** What is on the screen now, for the export dialog in front of it. */
let shown: Picture | undefined;

/** Of the panel that draws it. */
export function useShownPicture(svg: RefObject<SVGSVGElement | null>, name: string): void {
  useEffect(() => {
    shown = svg.current === null ? undefined : { svg: svg.current, name };
    return () => {
      shown = undefined;
    };
  });
}

const PAD_PX = 16;
const TITLE_PX = 28;

/** @throws TidelineError where no chart is on the screen. */
export function pictureAsSvg(): string {
  if (shown === undefined) {
    throw new TidelineError({
      code: "bad_argument",
      message: "there are no bars on the screen to take a picture of",
      hint: "Show the plan by phase.",
    });
  }
  const { svg, name } = shown;
  const [width, height] = [svg.width.baseVal.value, svg.height.baseVal.value];
  const [outerWidth, outerHeight] = [width + 2 * PAD_PX, height + TITLE_PX + 2 * PAD_PX];
  const inner = svg.cloneNode(true);
  if (!(inner instanceof SVGSVGElement)) throw new TidelineError({ code: "internal", message: "a copy of no picture" });
  inner.setAttribute("x", String(PAD_PX));
  inner.setAttribute("y", String(PAD_PX + TITLE_PX));
  const title = document.createElementNS(svg.namespaceURI, "text");
  title.textContent = name;
  for (const [attribute, value] of Object.entries({
    x: PAD_PX + 4,
    y: PAD_PX + 16,
    "font-family": svg.getAttribute("font-family") ?? "sans-serif",
    "font-size": 15,
    "font-weight": 600,
    fill: "var(--text-1)",
  })) {
    title.setAttribute(attribute, String(value));
  }
  const markup = new XMLSerializer();
  return withColours(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${outerWidth}" height="${outerHeight}" viewBox="0 0 ${outerWidth} ${outerHeight}">` +
      `<rect width="${outerWidth}" height="${outerHeight}" fill="var(--surface-1)"/>` +
      `${markup.serializeToString(title)}${markup.serializeToString(inner)}</svg>\n`,
  );
}

/** The theme's custom properties as the colours that they are now. */
function withColours(markup: string): string {
  const styles = getComputedStyle(document.documentElement);
  return markup.replace(/var\((--[\w-]+)\)/g, (_, name: string) => styles.getPropertyValue(name).trim());
}

const PIXELS = 2;

/** The same in pixels, sharp enough for a dense screen. */
export async function pictureAsPng(): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(pictureAsSvg())}`;
  await image.decode();
  const canvas = document.createElement("canvas");
  canvas.width = image.width * PIXELS;
  canvas.height = image.height * PIXELS;
  canvas.getContext("2d")?.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((done, fail) =>
    canvas.toBlob((blob) => {
      if (blob === null) fail(new TidelineError({ code: "internal", message: "the picture could not be drawn" }));
      else done(blob);
    }, "image/png"),
  );
}
