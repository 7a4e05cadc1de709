/** Things to tell the person now. Errors stay until dismissed; good news goes away by itself. */
import { create } from "zustand";
import type { TidelineErrorData } from "../../core/errors.ts";

const INFORMATION_MS = 6000;
const MOST_NOTICES = 5;

export interface Notice {
  readonly id: number;
  readonly title: string;
  /** Absent: information. */
  readonly error?: TidelineErrorData;
  /** How often in a row; a repeated failure is one notice with a count. */
  readonly times: number;
}

interface NoticeStore {
  readonly notices: readonly Notice[];
}

export const useNotices = create<NoticeStore>(() => ({ notices: [] }));

let nextId = 1;

export function notifyError(title: string, error: TidelineErrorData): void {
  useNotices.setState(({ notices }) => {
    const last = notices.at(-1);
    if (last !== undefined && last.title === title && last.error?.message === error.message) {
      return { notices: notices.with(-1, { ...last, error, times: last.times + 1 }) };
    }
    return { notices: [...notices, { id: nextId++, title, error, times: 1 }].slice(-MOST_NOTICES) };
  });
}

export function notify(title: string): void {
  const id = nextId++;
  useNotices.setState(({ notices }) => ({ notices: [...notices, { id, title, times: 1 }].slice(-MOST_NOTICES) }));
  setTimeout(() => dismissNotice(id), INFORMATION_MS);
}

export function dismissNotice(id: number): void {
  useNotices.setState(({ notices }) => ({ notices: notices.filter((notice) => notice.id !== id) }));
}

/** What failed before has worked now: its errors are over. */
export function dismissErrorsOf(title: string): void {
  useNotices.setState(({ notices }) => ({
    notices: notices.filter((notice) => notice.error === undefined || notice.title !== title),
  }));
}
