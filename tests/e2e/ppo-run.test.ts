/** A PPO run on the Run screen, over both doors: opened, stepped, stopped, put right by hand, compared, ended. */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { parseBytes } from "../../core/units.ts";
import { PpoPage } from "./pages/ppo-page.ts";
import { closeSharedBrowser, type DoorKind, type OpenDoor, openDoor } from "./support/doors.ts";

const chromium = inject("chromium") ?? "";
/** Too small for the plain loop of the demo. */
const CAPACITY = "12 MiB";
const BEGIN = "step 1 · rollout · before: resume engine.kv_cache";

afterAll(closeSharedBrowser);

describe.skipIf(chromium === "").each<DoorKind>(["browser", "desktop"])("a PPO run through the %s door", (kind) => {
  let door: OpenDoor;
  let ppo: PpoPage;

  beforeEach(async () => {
    door = await openDoor(kind, chromium);
    ppo = new PpoPage(door.run.page);
  });

  afterEach(async () => {
    await door.close();
    expect(door.problems).toEqual([]);
  });

  it("is opened by keyboard: the dialog has the focus; nothing of the demo is said of a file that is not named", async () => {
    await ppo.page.keyboard.press("g");
    const { dialog } = ppo;
    await dialog.getByText("Can run:").waitFor();
    await expect.poll(() => dialog.locator(":focus").count()).toBe(1);
    const facts = dialog.getByText("256 rollouts of up to 4 new tokens");
    await facts.waitFor();
    await dialog.getByRole("radio", { name: "File", exact: true }).check({ force: true });
    await facts.waitFor({ state: "detached" });
    expect(await dialog.getByRole("button", { name: "Open run" }).isDisabled()).toBe(true);
    await dialog.getByRole("radio", { name: "Demo", exact: true }).check({ force: true });
    await facts.waitFor();
    await ppo.page.keyboard.press("Escape");
    await dialog.waitFor({ state: "detached" });
  });

  it("runs out of memory without strategies, says who held what, goes on when something is freed, and ends", async () => {
    await ppo.open(CAPACITY, "None");
    await ppo.consumer("activations").getByText("not taken yet").waitFor();
    await ppo.step("Play");
    await ppo.failure.getByText(/^out of memory: .* asked for, .* of 12\.0 MiB are free$/).waitFor();
    await ppo.standsAt("step 1 · train_critic");
    const held = await ppo.failure.getByRole("meter", { name: "engine.kv_cache" }).getAttribute("aria-valuetext");
    expect(held).toBe("4.00 MiB");
    // The account of who held what takes room from the schedule, whose current row stays in sight.
    await ppo.page.setViewportSize({ width: 1280, height: 800 });
    await expect.poll(() => ppo.currentRowInSight()).toBe(true);

    await ppo.failure.getByRole("listitem").filter({ hasText: "engine.kv_cache" }).getByRole("button").click();
    await ppo.dialog.getByText(/in the next step, rollout needs engine\.kv_cache/i).waitFor();
    await ppo.dialog.getByRole("button", { name: "Do it" }).click();
    await ppo.consumer("engine.kv_cache").getByText("released").waitFor();
    await ppo.failure.getByRole("button", { name: "Retry train_critic" }).click();
    // The rest of the step fits now; the next one begins with what was freed.
    await ppo.failure.getByText("phase rollout needs engine.kv_cache, which is released").waitFor();
    await ppo.standsAt("step 2 · rollout · work");
    await ppo.failure.getByRole("button", { name: "resume engine.kv_cache" }).waitFor();

    await ppo.end();
    await door.run.engine.getByText("idle").waitFor();
    expect(await door.run.generate("The harbour")).toMatch(/^The harbour\W+\w+/);
  });

  it("steps by action, phase and step; what it learned is what the command prints; a reload changes nothing", async () => {
    await ppo.open(CAPACITY, "All");
    await ppo.standsAt(BEGIN);
    await ppo.step("Action");
    await ppo.standsAt("step 1 · rollout · work");
    await ppo.step("Phase");
    await ppo.standsAt("step 1 · score_policy · before: resume policy.weights");
    await ppo.step("Step");
    await ppo.standsAt("step 2 · rollout · before: resume engine.kv_cache");

    await ppo.show("Learning");
    const reward = await ppo.curveValue("Reward");
    expect(reward).toBe(rewardOfCommand());
    await ppo.show("Rollouts");
    expect(await ppo.detail.getByRole("row").count()).toBeGreaterThan(1);

    await ppo.page.reload();
    await ppo.standsAt("step 2 · rollout · before: resume engine.kv_cache");
    await ppo.show("Learning");
    expect(await ppo.curveValue("Reward")).toBe(reward);
    await ppo.step("Step");
    await ppo.standsAt("step 3 · rollout");
  });

  it("stops at a breakpoint, says what an action by hand leads to, and takes it back", async () => {
    await ppo.open(CAPACITY, "All");
    await ppo.schedule.getByRole("button", { name: "Breakpoint before train_policy" }).click();
    await ppo.schedule.getByRole("button", { name: "1 breakpoint" }).waitFor();
    await ppo.step("Play");
    await ppo.standsAt("breakpoint: before train_policy");
    await ppo.standsAt("step 1 · train_policy · before: resume policy.gradients");

    const offload = await ppo.action("critic.weights", /^Offload to host/);
    expect(await offload.textContent()).toMatch(/frees .* in the next step, score_critic needs critic\.weights/);
    await offload.click();
    await ppo.dialog.getByText(/the run stops there until you/).waitFor();
    await ppo.dialog.getByRole("button", { name: "Do it" }).click();
    const critic = ppo.consumer("critic.weights");
    await critic.getByText("on host", { exact: true }).waitFor();
    const mark = critic.getByText("by hand: the schedule has it resident here");
    await mark.waitFor({ state: "attached" });

    await ppo.step("Undo");
    await critic.getByText("resident", { exact: true }).waitFor();
    await mark.waitFor({ state: "detached" });
    await ppo.step("Step");
    await ppo.standsAt("step 2 · rollout");
  });

  it("opens on other checkpoints, says which cannot be read, and what int8 weights change", async () => {
    await ppo.page.getByRole("button", { name: "PPO run…" }).click();
    await ppo.dialog.getByText("Other checkpoints").click();
    const folder = (role: string) => ppo.dialog.getByRole("textbox", { name: role });
    await folder("Critic").fill("/nowhere");
    await ppo.dialog.getByText("critic: /nowhere does not exist").waitFor();
    expect(await ppo.dialog.getByRole("button", { name: "Open run" }).isDisabled()).toBe(true);
    await folder("Critic").fill("");
    await folder("Reward model").fill(resolve("assets/demo-ppo/reward"));
    await ppo.dialog.getByText("fp32 · reward").waitFor();
    await ppo.dialog.getByRole("switch", { name: "Reward model as int8" }).click();
    await ppo.dialog.getByRole("button", { name: "Open run" }).click();
    await ppo.standsAt("nothing has run yet");
    const changes = ppo.run.getByRole("list", { name: "What int8 weights change" });
    expect(await changes.textContent()).toMatch(/^int8 reward .* → .*; rewards change by [\d.]+, at most [\d.]+$/);
    await ppo.consumer("reward.weights").getByText("resident").waitFor();
  });

  it("says what it saves only when the baseline is measured, with both peaks", async () => {
    await ppo.open(CAPACITY, "All");
    await ppo.step("Step");
    await ppo.standsAt("step 2 · rollout");
    await ppo.run.getByText("what that saves is not measured").waitFor();
    await ppo.run.getByRole("button", { name: "Measure baseline" }).click();
    await ppo.run
      .getByText(/^saves .* of the peak (for|and) .* of memory actions a step; the baseline's step took .*s$/)
      .waitFor();

    const savings = await ppo.show("Savings");
    await savings.getByText("The baseline does not fit 12.0 MiB: it was measured without a limit.").waitFor();
    const peaks = await savings.getByRole("row", { name: /^Peak/ }).getByRole("cell").allTextContents();
    const [own = 0, baseline = 0] = peaks.map(parseBytes);
    expect(own).toBeLessThan(parseBytes(CAPACITY));
    expect(baseline).toBeGreaterThan(parseBytes(CAPACITY));
  });
});

/** Mean reward of the first step, as `tideline run` has it for the same workload, strategies and seed. */
function rewardOfCommand(): string {
  const arguments_ = ["run", "--steps", "1", "--strategies", "all", "--capacity", "12MiB", "--json"];
  const output = execFileSync(process.execPath, ["dist/tideline.js", ...arguments_], { encoding: "utf8" });
  const [first = "{}"] = output.split("\n");
  const { statistics }: { readonly statistics?: { readonly reward: number } } = JSON.parse(first);
  return statistics?.reward.toFixed(3) ?? "";
}
