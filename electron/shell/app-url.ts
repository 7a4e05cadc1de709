/**
 * The address of the renderer inside the Electron window. The protocol handler, the navigation policy and the sender
 * check of every message all have to agree on it, so it is decided here once.
 */

export const APP_SCHEME = "app";
export const APP_HOST = "tideline";
export const APP_URL = `${APP_SCHEME}://${APP_HOST}/index.html`;

/** Whether a URL is a page of Tideline itself. Ports, credentials and other hosts of the scheme are not. */
export function isAppUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  return url.protocol === `${APP_SCHEME}:` && url.host === APP_HOST && url.username === "" && url.password === "";
}
