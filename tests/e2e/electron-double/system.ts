/** What Electron gives of the system: dialogs, the menu, screens, the theme, the shell. Tests answer and read them. */
import { EventEmitter } from "node:events";

export interface MenuItem {
  readonly label?: string;
  readonly id?: string;
  readonly role?: string;
  readonly type?: string;
  readonly click?: () => void;
  readonly submenu?: readonly MenuItem[];
}

/** Roles that main may use: a misspelt one is an error in Electron too. */
const ROLES = new Set(
  [
    "quit",
    "editMenu",
    "windowMenu",
    "help",
    "togglefullscreen",
    "reload",
    "toggleDevTools",
    "close",
    "minimize",
    "about",
  ].map((role) => role.toLowerCase()),
);

export class Menu {
  static applicationMenu: Menu | undefined;
  readonly items: readonly MenuItem[];

  constructor(items: readonly MenuItem[]) {
    this.items = items;
  }

  static buildFromTemplate(template: readonly MenuItem[]): Menu {
    for (const item of flatten(template)) {
      if (item.role !== undefined && !ROLES.has(item.role.toLowerCase()))
        throw new Error(`Unknown menu role ${item.role}`);
      if (item.label === undefined && item.role === undefined && item.type !== "separator") {
        throw new Error("Invalid template for MenuItem: must have either label, role or type");
      }
    }
    return new Menu(template);
  }

  static setApplicationMenu(menu: Menu): void {
    Menu.applicationMenu = menu;
  }

  /** Chooses an item as a person would. */
  static choose(id: string): void {
    const item = flatten(Menu.applicationMenu?.items ?? []).find((candidate) => candidate.id === id);
    if (item?.click === undefined) throw new Error(`the menu has no item ${id}`);
    item.click();
  }
}

export function flatten(items: readonly MenuItem[]): MenuItem[] {
  return items.flatMap((item) => [item, ...flatten(item.submenu ?? [])]);
}

/** Dialogs answer what the test put there beforehand; unanswered ones are cancelled. */
export class Dialog {
  readonly shown: { readonly kind: string; readonly options: unknown }[] = [];
  readonly folderAnswers: string[] = [];

  // Electron takes (window, options) or (options).
  async showOpenDialog(...args: unknown[]): Promise<{ canceled: boolean; filePaths: string[] }> {
    this.shown.push({ kind: "open", options: args.at(-1) });
    const answer = this.folderAnswers.shift();
    return answer === undefined ? { canceled: true, filePaths: [] } : { canceled: false, filePaths: [answer] };
  }

  showErrorBox(title: string, content: string): void {
    this.shown.push({ kind: "error", options: { title, content } });
    console.error(`${title}: ${content}`);
  }
}

export class Shell {
  readonly opened: string[] = [];

  async openExternal(url: string): Promise<void> {
    this.opened.push(url);
  }
}

export class Screen extends EventEmitter {
  readonly #display = { id: 1, workArea: { x: 0, y: 0, width: 1920, height: 1080 } };

  getPrimaryDisplay() {
    return this.#display;
  }

  getAllDisplays() {
    return [this.#display];
  }
}

export class NativeTheme extends EventEmitter {
  readonly shouldUseDarkColors = false;
}
