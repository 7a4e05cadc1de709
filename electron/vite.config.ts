/**
 * Bundles what runs in Node: the main process, its preload script, and the command line. Everything but `electron` and
 * Node's own modules goes inside, so that a start reads three files instead of a thousand and a package needs no
 * node_modules. The preload is a build of its own (`--mode preload`): a sandboxed page takes only one CommonJS file.
 */
import { existsSync } from "node:fs";
import { builtinModules } from "node:module";
import { join } from "node:path";
import { defineConfig } from "vite";

const here = import.meta.dirname;
const root = join(here, "..");
const external = ["electron", ...builtinModules, /^node:/];

export default defineConfig(({ mode }) => {
  const preload = mode === "preload";
  const entries = preload
    ? { preload: join(here, "preload.ts") }
    : { main: join(here, "main.ts"), tideline: join(here, "cli", "tideline.ts") };
  return {
    root,
    publicDir: false,
    ssr: { noExternal: true, external: ["electron"] },
    build: {
      ssr: true,
      target: "node20",
      outDir: join(root, "dist"),
      emptyOutDir: false,
      sourcemap: true,
      minify: false,
      reportCompressedSize: false,
      rollupOptions: {
        external,
        input: Object.fromEntries(Object.entries(entries).filter(([, file]) => existsSync(file))),
        output: preload
          ? { format: "cjs", entryFileNames: "[name].cjs", codeSplitting: false }
          : { format: "es", entryFileNames: "[name].js", chunkFileNames: "chunks/[name].js" },
      },
    },
  };
});
