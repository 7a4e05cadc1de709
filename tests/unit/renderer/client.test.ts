import { describe, expect, it, vi } from "vitest";
import { createClient } from "../../../renderer/door/client.ts";
import { fakeDoor, sessionState } from "./fake-door.ts";

describe("the client of a door", () => {
  it("gives an answer that fits the contract", async () => {
    const door = fakeDoor();
    door.answer("observe", sessionState());
    await expect(createClient(door).request("observe", {})).resolves.toEqual(sessionState());
  });

  it("fills in defaults before a request leaves", async () => {
    const door = fakeDoor();
    door.hold("release");
    void createClient(door).request("release", { consumer: "engine.weights", mode: "discard" });
    expect(door.requests[0]?.params).toEqual({ consumer: "engine.weights", mode: "discard", destination: "return" });
  });

  it("keeps a malformed request at home and names the field", async () => {
    const door = fakeDoor();
    await expect(createClient(door).request("configure", { samplingHertz: 5 })).rejects.toMatchObject({
      code: "bad_argument",
      message: expect.stringContaining("samplingHertz"),
    });
    expect(door.requests).toHaveLength(0);
  });

  it("throws the session's own error with its hint", async () => {
    const door = fakeDoor();
    door.refuse("resume", { code: "out_of_memory", message: "full", hint: "release something", freeBytes: 1 });
    await expect(createClient(door).request("resume", { consumer: "engine.kv_cache" })).rejects.toMatchObject({
      data: { code: "out_of_memory", message: "full", hint: "release something", freeBytes: 1 },
    });
  });

  it("refuses an answer that does not fit the contract and says where", async () => {
    const door = fakeDoor();
    door.answer("observe", { ...sessionState(), samplingHertz: "often" });
    await expect(createClient(door).request("observe", {})).rejects.toMatchObject({
      data: { code: "bad_message", field: "samplingHertz" },
    });
  });

  it("gives up on a quick question that stays unanswered, and waits for long work", async () => {
    vi.useFakeTimers();
    try {
      const client = createClient(fakeDoor(), 1000);
      const quick = client.request("observe", {});
      const refused = expect(quick).rejects.toMatchObject({ code: "session_lost" });
      let loaded = false;
      client.request("open_checkpoint", { path: "/large" }).finally(() => {
        loaded = true;
      });
      await vi.advanceTimersByTimeAsync(60_000);
      await refused;
      expect(loaded).toBe(false);
    } finally {
      vi.useRealTimers();
    }
  });

  it("passes valid events on and reports malformed ones", () => {
    const door = fakeDoor();
    const events: unknown[] = [];
    const problems: unknown[] = [];
    createClient(door).subscribe(
      (event) => events.push(event),
      (problem) => problems.push(problem.code),
    );
    door.emit({ event: "state", state: sessionState() });
    door.emit({ event: "state", state: {} });
    expect(events).toHaveLength(1);
    expect(problems).toEqual(["bad_message"]);
  });
});
