/** Commands of README and docs work one after the other, as somebody types them: what one reads, one before it made. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, it } from "vitest";

/** The lines of all blocks of commands, continued ones joined. */
function commandsOf(file: string): readonly string[] {
  const blocks = readFileSync(file, "utf8").matchAll(/^```sh\n(.*?)^```/gms);
  return [...blocks].flatMap(([, block = ""]) => block.replaceAll("\\\n", " ").split("\n"));
}

/** What an option is given, in a line of shell. */
function given(option: string, line: string): string | undefined {
  return new RegExp(`--${option} (\\S+)`).exec(line)?.[1];
}

it.each(["README.md", "docs/real-sizes.md"])(
  "%s makes the checkpoints that its workloads name before it runs them",
  (file) => {
    const made = new Set<string>();
    let workloads = 0;
    for (const line of commandsOf(file)) {
      if (line.includes("tideline make-shape")) made.add(resolve(given("out", line) ?? ""));
      const workload = given("workload", line);
      if (workload === undefined || !workload.startsWith("assets/real-sizes/")) continue;
      workloads += 1;
      const { roles } = JSON.parse(readFileSync(workload, "utf8"));
      for (const folder of Object.values(roles)) {
        expect([...made], line).toContain(resolve(join(dirname(workload), String(folder))));
      }
    }
    expect(workloads).toBeGreaterThan(0);
  },
);
