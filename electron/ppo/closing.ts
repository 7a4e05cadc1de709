/**
 * Closing what was opened, whatever else fails: nothing stays open because something beside it could not be closed, and what
 * failed first is the error that a person sees.
 */

export interface Closable {
  close(): Promise<void>;
}

/** Closes all, the last one first. @throws what failed first, once all were tried. */
export async function closeAll(opened: readonly Closable[]): Promise<void> {
  const failures: unknown[] = [];
  for (const one of opened.toReversed()) {
    try {
      await one.close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** Closes all after a failure. @throws `failure`: what cannot be closed then is a consequence. */
export async function closeAfter(failure: unknown, opened: readonly Closable[]): Promise<never> {
  await closeAll(opened).catch(() => undefined);
  throw failure;
}

/** Uses something and closes it. @throws what `use` throws, before what closing does. */
export async function using<T>(opened: Closable, use: () => Promise<T>): Promise<T> {
  const result = await use().catch((error) => closeAfter(error, [opened]));
  await opened.close();
  return result;
}
