/**
 * Weights between a session and other processes. What it lends: the state says who has it, what would take it away is refused
 * while somebody has, and no loan outlives the weights. What a trainer hands over: the engine gets it, and the state says so.
 * Over the double of the driver, whose chunks are memory files.
 */
import { existsSync, statSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { CommandInput } from "../../../core/contract/commands.ts";
import { MIB } from "../../../core/units.ts";
import { eventually } from "../../eventually.ts";
import { installComputeDouble } from "../cuda-double/compute/compute-double.ts";
import { type CudaDouble, compile, ILLEGAL_ADDRESS, NOTHING } from "../cuda-double/cuda-double.ts";
import { negatedCheckpoint, openFixture } from "../engine/support.ts";
import { Peer } from "../peer.ts";
import { ADDON_FILE } from "../support.ts";
import { compileTrainer, describedBy, layOut } from "../trainer.ts";
import { DEMO, openSession, type TestSession } from "./support.ts";

const WEIGHTS = "engine.weights";
const ON_CARD = { device: "cuda:0", capacityBytes: 256 * MIB };
let double: CudaDouble;
let borrower: string;
let trainer: string;

beforeAll(async () => {
  double = await installComputeDouble();
  borrower = join(double.folder, "borrower");
  compile([join(import.meta.dirname, "../cuda-double/borrower/borrower.cc")], borrower, []);
  trainer = join(double.folder, "trainer");
  compileTrainer(trainer);
}, 300_000);
afterAll(() => {
  const left = double.counts();
  double.remove();
  expect(left).toEqual(NOTHING);
});

interface Lending extends TestSession {
  readonly socket: string;
  /** What the state says of the loan. */
  loan(consumer?: string): Promise<unknown>;
  /** Another process that has the weights mapped. */
  borrow(): Promise<Peer>;
}

/** The demo on a card, its weights lent. */
async function lending(): Promise<Lending> {
  const session = await openSession({ rollouts: 4, miniBatches: 1 });
  const { ask, folder } = session;
  const socket = join(folder, "weights.sock");
  await ask("configure", ON_CARD);
  await ask("open_checkpoint", { path: DEMO });
  expect(await ask("lend", { consumer: WEIGHTS, path: socket })).toEqual({ path: socket });
  return {
    ...session,
    socket,
    loan: async (name = WEIGHTS) => (await ask("observe")).consumers.find(({ consumer }) => consumer === name)?.loan,
    async borrow() {
      const peer = new Peer(borrower, [socket], double.environment);
      onTestFinished(async () => {
        await peer.end("killed");
      });
      await peer.line();
      expect(await peer.line()).toBe("mapped");
      return peer;
    },
  };
}

/** An engine whose weights are lent, that nobody closes: the process ends, or only the engine is dropped. */
const LENDER = `
  const [file, model, socket] = process.argv.slice(1);
  const addon = require(file);
  const { config, dtype, tensors } = JSON.parse(model);
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 2 ** 28 });
  const lend = async () => {
    const weights = addon.createModel(device, { config, dtype, consumer: "engine.weights" });
    await weights.load(tensors);
    return addon.createEngine(device, weights, { kvCacheBytes: 2 ** 22 }).shareWeights({ path: socket });
  };
  lend().then((sharing) => {
    process.stdin.once("data", () => {
      gc();
      setTimeout(() => {
        console.log(JSON.stringify(sharing.observe()));
        process.stdin.once("data", () => process.exit(0));
      }, 50);
    });
    console.log("lent");
  });
`;

test("an engine that is dropped while its weights are lent takes neither them nor its process with it", async () => {
  const { config, dtype, tensors } = await openFixture("tiny-llama-gqa");
  const socket = join(double.folder, "dropped.sock");
  const given = ["--expose-gc", "-e", LENDER, ADDON_FILE, JSON.stringify({ config, dtype, tensors }), socket];
  const lender = new Peer(process.execPath, given, double.environment);
  expect(await lender.line()).toBe("lent");
  const peer = new Peer(borrower, [socket], double.environment);
  await peer.line();
  expect(await peer.line()).toBe("mapped");
  expect(JSON.parse(await lender.ask("collect"))).toEqual({ path: socket, borrowers: 1 });
  lender.ask("exit");
  expect(await lender.end("by itself")).toBe(0);
  await peer.end("killed");
});

const lastAction = ({ actions }: TestSession) => actions().at(-1);

test("windows see without asking when a process maps the weights and when it is gone", async () => {
  const session = await lending();
  const { socket, borrow, events, actions, loan } = session;
  expect(lastAction(session)).toMatchObject({ kind: "lend", consumer: WEIGHTS, label: "lend engine.weights" });
  expect(await loan()).toEqual({ path: socket, borrowers: 0 });
  const told = () => {
    const last = events.findLast((event) => event.event === "state");
    return last?.state.consumers.find(({ consumer }) => consumer === WEIGHTS)?.loan?.borrowers;
  };
  const peers = [await borrow(), await borrow()];
  await eventually(() => expect(told()).toBe(2));
  for (const peer of peers) await peer.end("killed");
  await eventually(() => expect(told()).toBe(0));
  expect(await loan()).toEqual({ path: socket, borrowers: 0 });
  expect(actions().filter(({ kind }) => kind === "end_loan")).toEqual([]);
});

test("what would take mapped weights away is refused, with the way out, and changes nothing", async () => {
  const { ask, borrow, loan, openRun, folder } = await lending();
  await ask("load_model", { path: DEMO, role: "policy" });
  await ask("lend", { consumer: "policy.weights", path: join(folder, "policy.sock") });
  const peer = await borrow();
  await eventually(async () => expect(await loan()).toMatchObject({ borrowers: 1 }));
  const before = (await ask("observe")).consumers;
  const policy = { kind: "model", role: "policy" } as const;
  for (const refused of [
    () => ask("release", { consumer: WEIGHTS, mode: "host" }),
    () => ask("open_checkpoint", { path: DEMO }),
    () => ask("configure", { kvCacheBytes: 4 * MIB }),
    () => ask("configure", { device: "host" }),
    () => ask("swap", { source: policy, method: "share" }),
    () => openRun(),
  ]) {
    await expect(refused()).rejects.toMatchObject({ code: "shared", hint: expect.stringMatching(/end /i) });
    expect((await ask("observe")).consumers).toEqual(before);
  }
  // What is not mapped stands in nobody's way.
  await ask("unload_model", { role: "policy" });
  expect(existsSync(join(folder, "policy.sock"))).toBe(false);

  await peer.end("by itself");
  await eventually(async () => expect(await loan()).toMatchObject({ borrowers: 0 }));
  await ask("release", { consumer: WEIGHTS, mode: "host" });
  await ask("resume", { consumer: WEIGHTS });
  const again = await borrow();
  await again.end("by itself");
});

test("a loan that is ended cuts off whoever has it, and the weights can go", async () => {
  const session = await lending();
  const { ask, borrow, loan, socket } = session;
  const peer = await borrow();
  await ask("end_loan", { consumer: WEIGHTS });
  expect(lastAction(session)).toMatchObject({ kind: "end_loan", label: "end the loan of engine.weights" });
  expect(await loan()).toBeUndefined();
  expect(existsSync(socket)).toBe(false);
  await expect(ask("end_loan", { consumer: WEIGHTS })).rejects.toMatchObject({ code: "not_found" });
  await ask("release", { consumer: WEIGHTS, mode: "discard" });
  await peer.end("by itself");
});

test("a swap by whatever is best writes into the weights that are lent, and their borrower sees it", async () => {
  const { ask, borrow, loan } = await lending();
  const peer = await borrow();
  const bytes = await peer.ask("read 0 64");
  await peer.ask("write 0 255");
  expect(await peer.ask("read 0 64")).not.toBe(bytes);
  await ask("load_model", { path: DEMO, role: "policy" });
  const source = { kind: "model", role: "policy" } as const;
  expect(await ask("swap", { source })).toMatchObject({ method: "copy" });
  expect(await peer.ask("read 0 64")).toBe(bytes);
  await peer.end("by itself");
  await eventually(async () => expect(await loan()).toMatchObject({ borrowers: 0 }));
  // Asked for, the engine takes the other's bytes: its own are gone, and with them the loan.
  expect(await ask("swap", { source, method: "share" })).toMatchObject({ method: "share" });
  expect(await loan()).toBeUndefined();
  const path = join(double.folder, "again.sock");
  const lend = (consumer: string) => ask("lend", { consumer, path });
  await expect(lend(WEIGHTS)).rejects.toMatchObject({ code: "shared", hint: "Lend policy.weights." });
  await lend("policy.weights");
  expect(await loan("policy.weights")).toEqual({ path, borrowers: 0 });
});

test.each<readonly [string, (session: TestSession) => Promise<unknown>]>([
  ["another checkpoint", ({ ask }) => ask("open_checkpoint", { path: DEMO })],
  ["another size of the cache", ({ ask }) => ask("configure", { kvCacheBytes: 4 * MIB })],
  ["another device", ({ ask }) => ask("configure", { device: "host" })],
  ["a run", ({ openRun }) => openRun({}, { capacityBytes: 128 * MIB })],
])("a loan that nobody uses is over with %s, and that is recorded", async (_, take) => {
  const session = await lending();
  await take(session);
  expect(await session.loan()).toBeUndefined();
  expect(existsSync(session.socket)).toBe(false);
  expect(session.actions()).toContainEqual(expect.objectContaining({ kind: "end_loan", consumer: WEIGHTS }));
});

test("a device that is lost can be left in spite of a loan, and a session that closes leaves no socket", async () => {
  const { ask, borrow, loan, socket, close } = await lending();
  const peer = await borrow();
  double.arm({ call: "cuMemCreate", nth: 1, result: ILLEGAL_ADDRESS, sticky: true });
  await expect(ask("load_model", { path: DEMO, role: "policy" })).rejects.toMatchObject({ code: "device_lost" });
  double.disarm();
  await ask("configure", { device: "cuda:0" });
  expect(existsSync(socket)).toBe(false);
  expect(await loan()).toBeUndefined();
  await peer.end("by itself");

  await ask("lend", { consumer: WEIGHTS, path: socket });
  const last = await borrow();
  await close();
  expect(existsSync(socket)).toBe(false);
  await last.end("by itself");
});

test("what cannot be lent is refused, also on the host; a socket that a dead process left is not in the way", async () => {
  const { ask, folder, socket } = await lending();
  const refusal = (request: CommandInput<"lend">) => expect(ask("lend", request)).rejects;
  await refusal({ consumer: WEIGHTS, path: join(folder, "other.sock") }).toMatchObject({
    code: "busy",
    message: `engine.weights is lent at ${socket} already`,
  });
  await refusal({ consumer: "engine.kv_cache", path: socket }).toMatchObject({ code: "bad_argument" });
  await refusal({ consumer: "reward.weights", path: socket }).toMatchObject({ code: "not_found" });
  await ask("load_model", { path: DEMO, role: "policy" });
  const policy = (path: string) => ({ consumer: "policy.weights", path });
  await refusal(policy(socket)).toMatchObject({ code: "bad_argument", message: expect.stringContaining("already") });
  await refusal(policy(join(folder, "none", "a.sock"))).toMatchObject({
    code: "bad_argument",
    data: { field: "path" },
  });

  const left = join(folder, "left.sock");
  const listen = `require("node:net").createServer().listen(process.argv[1], () => console.log("listens"))`;
  const listener = new Peer(process.execPath, ["-e", listen, left], {});
  expect(await listener.line()).toBe("listens");
  await refusal(policy(left)).toMatchObject({ code: "bad_argument", message: expect.stringContaining("already") });
  await listener.end("killed");
  expect(existsSync(left)).toBe(true);
  await ask("lend", policy(left));
  await ask("end_loan", { consumer: "policy.weights" });

  const { socketsFolder } = await ask("observe");
  await ask("lend", policy(join(socketsFolder, "policy.weights.sock")));
  expect(statSync(socketsFolder).mode & 0o777).toBe(0o700);
  expect(dirname(socketsFolder)).toBe(folder);

  await ask("configure", { device: "host" });
  await refusal({ consumer: WEIGHTS, path: socket }).toMatchObject({ code: "unsupported" });
  expect(existsSync(socket)).toBe(false);
});

test("a trainer's weights are swapped in by the file that it wrote, and the engine says whose they are", async () => {
  const session = await openSession();
  const { ask, folder, policyHash } = session;
  await ask("configure", ON_CARD);
  const given = await openFixture("tiny-llama-gqa");
  await ask("open_checkpoint", { path: given.path });
  const ofFiles = await policyHash();
  const laidOut = await layOut(await negatedCheckpoint(given, folder), folder);
  const peer = new Peer(trainer, [laidOut.file, String(laidOut.split)], double.environment);
  onTestFinished(async () => {
    await peer.end("by itself");
  });
  const path = join(folder, "weights.json");
  const weights = await describedBy(peer, laidOut);
  const swap = async (described: object) => {
    await writeFile(path, JSON.stringify(described));
    return ask("swap", { source: { kind: "process", path } });
  };
  expect(await swap(weights)).toMatchObject({ method: "ipc", bytesCopied: expect.any(Number) });
  expect(lastAction(session)).toMatchObject({
    kind: "swap",
    label: "swap engine.weights to those of another process",
  });
  expect(await policyHash()).not.toBe(ofFiles);
  expect((await ask("observe")).engine).toMatchObject({ checkpoint: { name: given.name }, handedOver: true });

  await expect(swap({ ...weights, tensors: weights.tensors.slice(1) })).rejects.toMatchObject({
    code: "weights_mismatch",
  });
  const [first, ...others] = weights.tensors;
  await expect(swap({ ...weights, tensors: [...others, { ...first, offset: -1 }] })).rejects.toMatchObject({
    code: "bad_argument",
    message: expect.stringContaining(`${path}: tensors[${others.length}].offset is -1`),
  });
  await peer.end("by itself");
  await expect(swap(weights)).rejects.toMatchObject({ code: "not_resident" });
  await ask("swap", { source: { kind: "checkpoint", path: given.path } });
  expect(await policyHash()).toBe(ofFiles);
  expect((await ask("observe")).engine).not.toHaveProperty("handedOver");
});
