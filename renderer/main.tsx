/** Starts the window: the shell is drawn at once, the session fills it when it answers. */
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { createClient } from "./door/client.ts";
import { connect } from "./door/connect.ts";
import { followSession } from "./state/sync.ts";
import { applyTheme } from "./theme/apply-theme.ts";
import "./theme/theme.css";

applyTheme();
const client = createClient(connect());
const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(<App client={client} />);
followSession(client);
