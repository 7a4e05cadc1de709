/** Closing: everything is tried, and the error that a person sees is the one that came first. */
import { expect, test } from "vitest";
import { closeAfter, closeAll, using } from "../../../electron/ppo/closing.ts";

/** Things that note when they are closed; those named in `broken` cannot be. */
function opened(names: readonly string[], broken: readonly string[] = []) {
  const closed: string[] = [];
  const things = names.map((name) => ({
    close: async () => {
      if (broken.includes(name)) throw new Error(`${name} does not close`);
      closed.push(name);
    },
  }));
  return { things, closed };
}

test("closes the last one first, and the rest also where one cannot be", async () => {
  const { things, closed } = opened(["device", "model", "trainer"], ["model"]);
  await expect(closeAll(things)).rejects.toThrow("model does not close");
  expect(closed).toEqual(["trainer", "device"]);
});

test("after a failure that is what is thrown, not what cannot be closed for it", async () => {
  const { things, closed } = opened(["device", "model"], ["device"]);
  const failure = new Error("no kernels");
  await expect(closeAfter(failure, things)).rejects.toBe(failure);
  expect(closed).toEqual(["model"]);
});

test("what is used is closed, whether its use fails or not", async () => {
  const [fine, failing] = [opened(["device"]), opened(["device"], ["device"])];
  await expect(using({ close: () => closeAll(fine.things) }, async () => 7)).resolves.toBe(7);
  expect(fine.closed).toEqual(["device"]);
  const use = () => Promise.reject(new Error("out of memory"));
  await expect(using({ close: () => closeAll(failing.things) }, use)).rejects.toThrow("out of memory");
  const close = using({ close: () => closeAll(failing.things) }, async () => 7);
  await expect(close).rejects.toThrow("device does not close");
});
