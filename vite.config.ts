/**
 * Builds the renderer. Everything it needs is bundled and linked relatively, because the same files are served from
 * `app://` in the desktop window and from http in the browser door, under a policy that allows nothing from elsewhere.
 */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: "renderer",
  base: "./",
  plugins: [react()],
  build: {
    outDir: "../dist/renderer",
    emptyOutDir: true,
    target: "chrome120",
    // No data: URLs: the Content-Security-Policy names only the page's own origin.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
  },
});
