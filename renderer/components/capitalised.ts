/** Words that come from several layers, as they begin a sentence on screen. */
export function capitalised(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
