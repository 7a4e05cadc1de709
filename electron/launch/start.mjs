/**
 * `npm start`: makes the clone ready and opens Tideline: in Electron where there is a display and its binary, else the
 * same app through the browser door, with one line that says why.
 */
import "./require-node.mjs";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { getElectron } from "./electron-binary.mjs";
import { orExplain, prepare } from "./prepare.mjs";
import { hasDisplay } from "./tools.mjs";

const USAGE = `npm start -- [checkpoint] [--serve] [--port N] [--host ADDRESS] [--no-open]

  checkpoint    a Hugging Face folder to open, instead of the last one
  --serve       open in a browser instead of Electron's window
  --port N      port of --serve; 0 is a free one (default: 7421, or a free one when that is taken)
  --host A      address of --serve (default: 127.0.0.1)
  --no-open     --serve without opening a browser window
`;

const root = join(fileURLToPath(import.meta.url), "../../..");
const say = (/** @type {string} */ text) => process.stderr.write(text);

const options = readOptions();
if (options) await orExplain(() => start(options));

/** @param {NonNullable<ReturnType<typeof readOptions>>} options */
async function start({ checkpoint, serve, serveArguments }) {
  await prepare(root);
  if (serve) return startBrowser(serveArguments);
  const obstacle = obstacleToElectron();
  const electron = obstacle ? { problem: obstacle } : await getElectron(root, say);
  if ("program" in electron) return startElectron(electron.program, checkpoint);
  say(`${electron.problem}: opening in a browser instead.\n`);
  return startBrowser(serveArguments);
}

function readOptions() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        serve: { type: "boolean", default: false },
        port: { type: "string" },
        host: { type: "string" },
        "no-open": { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
    if (values.help) {
      process.stdout.write(USAGE);
      return undefined;
    }
    const [checkpoint, ...more] = positionals;
    if (more.length > 0) throw new Error(`unexpected argument '${more[0]}'`);
    const serveArguments = [
      ...(values.port === undefined ? [] : ["--port", values.port]),
      ...(values.host === undefined ? [] : ["--host", values.host]),
      ...(checkpoint === undefined ? [] : ["--checkpoint", checkpoint]),
      ...(values["no-open"] ? ["--no-open"] : []),
    ];
    return { checkpoint, serve: values.serve, serveArguments };
  } catch (error) {
    process.stderr.write(`error: ${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exitCode = 2;
    return undefined;
  }
}

/** Why Electron cannot run here whatever is downloaded. */
function obstacleToElectron() {
  if (!hasDisplay()) return "There is no display (DISPLAY and WAYLAND_DISPLAY are not set)";
  if (process.getuid?.() === 0) return "Electron's sandbox does not run as root";
  return undefined;
}

/**
 * @param {string} program
 * @param {string | undefined} checkpoint
 */
async function startElectron(program, checkpoint) {
  const child = spawn(program, [root, ...(checkpoint === undefined ? [] : [checkpoint])], { stdio: "inherit" });
  for (const signal of /** @type {const} */ (["SIGINT", "SIGTERM"])) process.on(signal, () => child.kill(signal));
  process.exitCode = await new Promise((resolve) => {
    child.on("error", (error) => {
      say(`error: Electron cannot be started: ${error.message}\n`);
      resolve(1);
    });
    child.on("close", (status) => resolve(status ?? 1));
  });
}

/** In this process: one less to start, and signals arrive where they are handled. */
async function startBrowser(/** @type {readonly string[]} */ serveArguments) {
  process.argv.splice(2, Number.POSITIVE_INFINITY, "serve", ...serveArguments);
  await import(pathToFileURL(join(root, "dist", "tideline.js")).href);
}
