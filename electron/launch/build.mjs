/** `npm run build`: makes the clone ready to run, and does not start it. */
import "./require-node.mjs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { orExplain, prepare } from "./prepare.mjs";

const root = join(fileURLToPath(import.meta.url), "../../..");
await orExplain(() => prepare(root));
