/** The IPC channels between a window and the main process. Their names appear nowhere else. */
export const CHANNELS = {
  /** Window asks, main answers: one request envelope of core/contract, one answer envelope. */
  request: "tideline:request",
  /** Main tells: one session event. */
  event: "tideline:event",
  /** Main tells: an item of the menu was chosen; carries the id of a renderer command. */
  menu: "tideline:menu",
  /** Window asks, main answers with the folder chosen in the system's dialog, or undefined. */
  pickFolder: "tideline:pick-folder",
} as const;
