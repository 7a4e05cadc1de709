/**
 * `npm run bench [-- NAME…]`: measures, and prints one JSON object per line. Ratios are between figures of the same
 * run, interleaved, because two runs of a shared machine cannot be compared. Results are kept in docs/benchmarks.md.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { builtinModules } from "node:module";
import { join, resolve } from "node:path";
import { orExplain, prepare } from "../../electron/launch/prepare.mjs";

const root = resolve(import.meta.dirname, "../..");
const output = join(root, "tests", "output", "bench");
const BENCHES = [
  "memory",
  "card-memory",
  "card-peer",
  "generation",
  "ppo",
  "growth",
  "planner",
  "plan-slider",
  "start",
];
/**
 * What a bench of memory runs with besides: what `npm start` sets, and a young generation that does not grow; growth.ts says why.
 * @type {Readonly<Record<string, { readonly options: readonly string[], readonly env: Readonly<Record<string, string>> }>>}
 */
const SETTINGS = {
  growth: { options: ["--min-semi-space-size=4", "--max-semi-space-size=4"], env: { MALLOC_ARENA_MAX: "1" } },
};

process.chdir(root);
await orExplain(async () => {
  await prepare(root);
  const asked = process.argv.slice(2);
  const unknown = asked.filter((name) => !BENCHES.includes(name));
  if (unknown.length > 0) {
    console.error(`there is no bench ${unknown.join(", ")}; there are ${BENCHES.join(", ")}`);
    process.exitCode = 2;
    return;
  }
  await build();
  for (const name of asked.length > 0 ? asked : BENCHES) {
    const { options, env } = SETTINGS[name] ?? { options: [], env: {} };
    const { status } = spawnSync(process.execPath, ["--expose-gc", ...options, join(output, `${name}.js`)], {
      stdio: "inherit",
      env: { ...process.env, ...env },
    });
    if (status !== 0) process.exitCode = 1;
  }
});

/** The benches are TypeScript over the product's own sources; Node 20 runs neither. */
async function build() {
  mkdirSync(output, { recursive: true });
  const vite = await import("vite");
  await vite.build({
    configFile: false,
    publicDir: false,
    logLevel: "warn",
    ssr: { noExternal: true, external: ["playwright-core"] },
    build: {
      ssr: true,
      target: "node20",
      outDir: output,
      minify: false,
      rollupOptions: {
        input: Object.fromEntries(BENCHES.map((name) => [name, join(root, "tests", "bench", `${name}.ts`)])),
        external: ["playwright-core", ...builtinModules, /^node:/],
      },
    },
  });
  const compiler = process.env.CXX ?? "c++";
  const flags = ["-std=c++20", "-O3", "-march=native", "-pthread", "-Inative"];
  for (const program of ["baseline", "card-link", "card-peer"]) {
    execFileSync(compiler, [...flags, join(root, "tests/bench", `${program}.cc`), "-o", join(output, program), "-ldl"]);
  }
}
