/**
 * A region lent to another process, over the double of the driver, whose chunks are memory files: descriptors really cross
 * the socket, and both processes see the same bytes. The borrowers are a small program (../cuda-double/borrower) and the
 * example of docs/share-weights.md.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { MIB } from "../../../core/units.ts";
import type { NativeDevice, NativeRegion, NativeSharing } from "../../../native/addon.d.ts";
import { BUILT_COMMAND } from "../command.ts";
import { compile, installCudaDouble, NOTHING, OUT_OF_MEMORY } from "../cuda-double/cuda-double.ts";
import { openFixture } from "../engine/support.ts";
import { Peer } from "../peer.ts";
import { addon, failure } from "../support.ts";

const double = await installCudaDouble();
afterAll(() => double.remove());
const program = join(double.folder, "borrower");
compile([join(import.meta.dirname, "../cuda-double/borrower/borrower.cc")], program, []);
const EXAMPLE_FOLDER = join(import.meta.dirname, "../../../assets/examples");

/** More chunks than one message carries. */
const CHUNKS = 100;
const CHUNK_BYTES = 2 * MIB;
const SIZE = CHUNKS * CHUNK_BYTES;
let sockets = 0;

interface Shared {
  readonly device: NativeDevice;
  readonly region: NativeRegion;
  readonly sharing: NativeSharing;
  readonly path: string;
}

async function share(): Promise<Shared> {
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 512 * MIB, chunkBytes: CHUNK_BYTES });
  const region = device.createRegion({ consumer: 'the "engine"', tag: "weights", bytes: SIZE });
  await region.resume();
  await region.write(0, Uint8Array.of(1, 2, 3));
  await region.write(SIZE - 3, Uint8Array.of(4, 5, 6));
  const path = join(double.folder, `${sockets++}.sock`);
  const sharing = region.share({ path });
  onTestFinished(async () => {
    double.disarm();
    await sharing.close();
    await region.close();
    await device.close();
    expect(double.counts()).toEqual(NOTHING);
  });
  return { device, region, sharing, path };
}

async function expectBorrowers(sharing: NativeSharing, borrowers: number): Promise<void> {
  await vi.waitFor(() => expect(sharing.observe().borrowers).toBe(borrowers), { timeout: 60_000 });
}

test("another process reads and writes the same memory, and knows what it is", async () => {
  const { region, sharing, path } = await share();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const peer = new Peer(program, [path], double.environment);
  const [, version, json] = /^TIDELSHR (\d+) (.*)$/.exec(await peer.line()) ?? [];
  expect(version).toBe("1");
  expect(JSON.parse(json ?? "")).toEqual({
    consumer: 'the "engine"',
    tag: "weights",
    bytes: SIZE,
    chunks: [{ bytes: CHUNK_BYTES, count: CHUNKS }],
    device: { name: "cuda:0", uuid: "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f" },
  });
  expect(await peer.line()).toBe("mapped");
  expect(await peer.ask("read 0 3")).toBe("010203");
  expect(await peer.ask(`read ${SIZE - 3} 3`)).toBe("040506");
  await peer.ask(`write ${SIZE / 2} 7`);
  expect([...(await region.read(SIZE / 2, 1))]).toEqual([7]);
  await region.write(1, Uint8Array.of(9));
  expect(await peer.ask("read 0 3")).toBe("010903");
  expect(sharing.observe()).toEqual({ path, borrowers: 1 });
  await peer.end("by itself");
  await expectBorrowers(sharing, 0);
});

test.each(["by itself", "killed"] as const)("releasing is refused until the borrower ends %s", async (how) => {
  const { region, sharing, path } = await share();
  await region.release({ mode: "host" });
  await region.resume();
  const peer = new Peer(program, [path], double.environment);
  await peer.line();
  expect(await peer.line()).toBe("mapped");
  const before = region.observe();
  expect(before.backup).toMatchObject({ clean: true });
  for (const refused of [() => region.release({ mode: "discard" }), () => region.close()]) {
    const error = await failure(refused);
    expect(error).toMatchObject({
      code: "shared",
      message: expect.stringMatching(/process \d+ \(borrower\) has it mapped/),
    });
  }
  expect(region.observe()).toEqual(before);

  await peer.end(how);
  await expectBorrowers(sharing, 0);
  // It may have written, and nobody would know.
  expect(region.observe().backup).toMatchObject({ clean: false });
  await region.release({ mode: "discard" });
});

test("a region that is released, or whose contents are undefined, is not lent; once it is back it is", async () => {
  const { region, sharing, path } = await share();
  const refusal = async () => {
    const peer = new Peer(program, [path], double.environment);
    const [, json] = /^TIDELSHR 1 (.*)$/.exec(await peer.line()) ?? [];
    return JSON.parse(json ?? "").error;
  };
  await region.release({ mode: "host" });
  expect(await refusal()).toMatchObject({ code: "not_resident", hint: "resume it first" });
  await region.release({ mode: "discard" });
  await region.resume();
  expect(await refusal()).toMatchObject({ code: "contents_undefined" });
  await region.fill(1);
  const peer = new Peer(program, [path], double.environment);
  await peer.line();
  expect(await peer.line()).toBe("mapped");
  await peer.end("by itself");
  await expectBorrowers(sharing, 0);
});

test("closing the sharing ends the loans and removes the socket", async () => {
  const { region, sharing, path } = await share();
  const peers = [new Peer(program, [path], double.environment), new Peer(program, [path], double.environment)];
  for (const peer of peers) {
    await peer.line();
    expect(await peer.line()).toBe("mapped");
  }
  expect(sharing.observe().borrowers).toBe(2);
  await sharing.close();
  expect(existsSync(path)).toBe(false);
  expect(sharing.observe().borrowers).toBe(0);
  await region.release({ mode: "discard" });
  // What they mapped is theirs until they unmap it.
  expect(await peers[0]?.ask("read 0 3")).toBe("010203");
  for (const peer of peers) await peer.end("by itself");
});

test("whoever does not answer, or comes when the driver refuses, keeps nobody else from borrowing", async () => {
  const { sharing, path } = await share();
  const silent = connect(path);
  await once(silent, "connect");
  silent.destroy();
  double.arm({ call: "cuMemExportToShareableHandle", nth: 3, result: OUT_OF_MEMORY });
  const unlucky = new Peer(program, [path], double.environment);
  await unlucky.line();
  expect(await unlucky.line()).toBe("(ended)");
  await expectBorrowers(sharing, 0);
  const peer = new Peer(program, [path], double.environment);
  await peer.line();
  expect(await peer.line()).toBe("mapped");
  await peer.end("by itself");
  await expectBorrowers(sharing, 0);
});

test("a model comes with the table of its tensors, where their bytes are found", async () => {
  const { config, tensors } = await openFixture("tiny-qwen2-tied");
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 128 * MIB, chunkBytes: CHUNK_BYTES });
  const model = addon.createModel(device, { config, dtype: "bfloat16", consumer: "engine.weights" });
  const path = join(double.folder, "model.sock");
  const sharing = model.share({ path });
  await model.load(tensors);
  const peer = new Peer(program, [path], double.environment);
  const [, json] = /^TIDELSHR 1 (.*)$/.exec(await peer.line()) ?? [];
  expect(await peer.line()).toBe("mapped");
  const described = JSON.parse(json ?? "");
  expect(described).toMatchObject({ consumer: "engine.weights", tensors: model.tensors() });
  expect(described.tensors.map(({ name }: { readonly name: string }) => name).sort()).toEqual(
    tensors.map(({ name }) => name).sort(),
  );
  for (const { name, offset, bytes } of described.tensors) {
    expect(await peer.ask(`read ${offset} ${bytes}`)).toBe(Buffer.from(await model.readTensor(name)).toString("hex"));
  }
  for (const refused of [() => model.release({ mode: "discard" }), () => model.close()]) {
    expect(await failure(refused)).toMatchObject({ code: "shared" });
  }
  // What is loaded or swapped in reaches the borrower as it happens.
  await model.load(tensors);
  await peer.end("by itself");
  await expectBorrowers(sharing, 0);
  await sharing.close();
  await model.close();
  await device.close();
});

test("weights whose overwriting failed halfway are undefined, also while another process has them mapped", async () => {
  const { config, tensors } = await openFixture("tiny-qwen2-tied");
  const device = addon.openDevice({ name: "cuda:0", capacityBytes: 128 * MIB, chunkBytes: CHUNK_BYTES });
  const model = addon.createModel(device, { config, dtype: "bfloat16", consumer: "engine.weights" });
  const path = join(double.folder, "half.sock");
  await model.load(tensors);
  const sharing = model.share({ path });
  const peer = new Peer(program, [path], double.environment);
  await peer.line();
  expect(await peer.line()).toBe("mapped");
  double.arm({ call: "cuMemcpyHtoDAsync", nth: 3, result: OUT_OF_MEMORY });
  const error = await failure(() => model.load(tensors));
  expect(double.disarm()).toBe(true);
  expect(error).toMatchObject({
    code: "out_of_memory",
    message: expect.stringContaining("its contents are undefined now"),
  });
  expect(model.observe()).toMatchObject({ residency: "resident", contents: "undefined" });
  expect(await failure(() => model.readTensor("model.norm.weight"))).toMatchObject({ code: "contents_undefined" });
  await model.load(tensors);
  expect(model.observe().contents).toBe("defined");
  await peer.end("by itself");
  await expectBorrowers(sharing, 0);
  await sharing.close();
  await model.close();
  await device.close();
  expect(double.counts()).toEqual(NOTHING);
});

test("paths that cannot be, and devices that cannot share, are refused", async () => {
  const { region, path } = await share();
  for (const wrong of [path, `/nonexistent/${path}`, `/tmp/${"long".repeat(30)}`]) {
    expect(await failure(() => region.share({ path: wrong }))).toMatchObject({ code: "bad_argument", field: "path" });
  }
  const host = addon.openDevice({ name: "host", capacityBytes: 8 * MIB });
  const hosted = host.createRegion({ consumer: "a", tag: "a", bytes: 2 * MIB });
  expect(await failure(() => hosted.share({ path: `${path}.host` }))).toMatchObject({ code: "unsupported" });
  expect(existsSync(`${path}.host`)).toBe(false);
  await hosted.close();
});

test("from the command line, until it is stopped", async () => {
  const path = join(double.folder, "command.sock");
  const checkpoint = join(import.meta.dirname, "../../fixtures/checkpoints/tiny-llama-gqa");
  const command = new Peer(
    process.execPath,
    [BUILT_COMMAND, "share", "--checkpoint", checkpoint, "--socket", path],
    double.environment,
  );
  expect(await command.line()).toMatch(/^tiny-llama-gqa \(.* KiB in float32\) on cuda:0 is lent at .*command\.sock/);
  const borrower = new Peer(program, [path], double.environment);
  expect(await borrower.line()).toContain("model.norm.weight");
  expect(await borrower.line()).toBe("mapped");
  expect(await command.line()).toBe("mapped by 1 process");
  await borrower.end("by itself");
  expect(await command.line()).toBe("mapped by 0 processes");
  expect(await command.end("interrupted")).toBe(0);
  expect(existsSync(path)).toBe(false);
});

const hasPython = spawnSync("python3", ["-c", "import socket; socket.recv_fds"]).status === 0;
describe.skipIf(!hasPython)(`the example${hasPython ? "" : " (skipped: no Python of 3.9 or newer)"}`, () => {
  test("maps the region, and lets it go", async () => {
    const { region, sharing, path } = await share();
    const script = `
import ctypes, sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])
from shared_weights import SharedRegion
with SharedRegion(sys.argv[2]) as region:
    print(region.description["consumer"], region.bytes, flush=True)
    sys.stdin.readline()
    ends = [ctypes.string_at(region.address, 3), ctypes.string_at(region.address + region.bytes - 3, 3)]
    print(b"".join(ends).hex(), flush=True)
    ctypes.memset(region.address, 8, 1)
    sys.stdin.readline()
`;
    const peer = new Peer("python3", ["-c", script, EXAMPLE_FOLDER, path], double.environment);
    expect(await peer.line()).toBe(`the "engine" ${SIZE}`);
    expect(await peer.ask("")).toBe("010203040506");
    expect(sharing.observe().borrowers).toBe(1);
    expect((await failure(() => region.release({ mode: "discard" }))).code).toBe("shared");
    await peer.end("by itself");
    await expectBorrowers(sharing, 0);
    expect([...(await region.read(0, 1))]).toEqual([8]);
  });
});
