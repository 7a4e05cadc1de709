// Run with `node --import`: makes `electron` mean the double. The double's bundle is given by the launcher.
import { register } from "node:module";

register("./resolve.mjs", import.meta.url, { data: { electron: process.env.TIDELINE_ELECTRON_DOUBLE } });
