/** The engine: what is loaded, how full its cache is, whether it can generate, and if not the click that changes that. */
import { Pause, Play, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import type { EngineState, SessionState } from "../../../core/contract/state.ts";
import { consumerColour } from "../../../core/timeline/consumer-colours.ts";
import { formatBytes } from "../../../core/units.ts";
import { remedyFor } from "../../commands/engine-commands.ts";
import { useCommands } from "../../commands/use-commands.tsx";
import { CommandButton } from "../../components/button.tsx";
import { Chip } from "../../components/chip.tsx";
import { CommandMenu } from "../../components/menu.tsx";
import { Meter } from "../../components/meter.tsx";
import { Skeleton } from "../../components/skeleton.tsx";
import { useSession } from "../../state/session.ts";
import { useColourScheme } from "../../theme/apply-theme.ts";
import { engineStatus } from "./engine-status.ts";
import { countWords } from "./figures.ts";
import "./engine-panel.css";

type LoadedEngine = Exclude<EngineState, { status: "empty" }>;

export function EnginePanel(): ReactNode {
  const session = useSession((store) => store.session);
  const engine = session?.engine;
  const commands = useCommands();
  const status = engine && engineStatus(engine);
  return (
    <section className="panel engine-panel" aria-labelledby="engine-title">
      <header className="panel-header">
        <h2 className="panel-title" id="engine-title">
          Engine
        </h2>
        {status && <Chip tone={status.tone}>{status.text}</Chip>}
        {engine?.status === "paused" ? (
          <CommandButton id="engine.continue" kind="primary" icon={Play} />
        ) : (
          engine !== undefined &&
          engine.status !== "empty" && (
            <CommandMenu
              label="Pause"
              icon={Pause}
              commands={commands.filter(({ id }) => id.startsWith("engine.pause."))}
              heading="What happens to running requests"
            />
          )
        )}
      </header>
      {session === undefined || engine === undefined ? (
        <Skeleton rows={2} />
      ) : (
        <div className="engine-body">
          {engine.status === "empty" ? (
            <p className="engine-empty">Nothing is loaded. Open a Hugging Face folder, or drop one on the window.</p>
          ) : (
            <Loaded engine={engine} />
          )}
          <Obstacle session={session} />
          <div className="engine-actions">
            <CommandButton id="checkpoint.open" />
            <CommandButton id="engine.swap" />
            <CommandButton id="checkpoint.load_model" label="Second model…" />
            <CommandButton id="checkpoint.save" />
          </div>
        </div>
      )}
    </section>
  );
}

function Loaded({ engine }: { readonly engine: LoadedEngine }): ReactNode {
  const { checkpoint, kv } = engine;
  const scheme = useColourScheme();
  const usedTokens = kv.usedBlocks * kv.blockTokens;
  const kvText = `${kv.usedBlocks.toLocaleString("en")} of ${kv.blocks.toLocaleString("en")} blocks`;
  return (
    <>
      <div>
        <p className="engine-name" title={checkpoint.path}>
          {checkpoint.name}
        </p>
        <p className="engine-facts figures">
          <span>{checkpoint.family}</span>
          <span>{countWords(checkpoint.parameters)} params</span>
          <span>{checkpoint.dtype}</span>
          <span>context {checkpoint.maxPositions.toLocaleString("en")}</span>
          <span>
            weights v{engine.weightsVersion}
            {engine.handedOver && ", of another process"}
          </span>
        </p>
      </div>
      <div className="engine-kv">
        <span>KV cache</span>
        <Meter
          label="KV cache blocks in use"
          totalBytes={kv.blocks}
          text={kvText}
          parts={[{ bytes: kv.usedBlocks, colour: consumerColour("engine.kv_cache", scheme) }]}
        />
        <span className="figures" title={`each token takes ${formatBytes(kv.bytesPerToken)}`}>
          {kvText} · {usedTokens.toLocaleString("en")} of {kv.capacityTokens.toLocaleString("en")} tokens
        </span>
      </div>
    </>
  );
}

/** Why it cannot generate, and the one click that brings it nearer. */
function Obstacle({ session }: { readonly session: SessionState }): ReactNode {
  const { engine } = session;
  const obstacle = engine.status === "empty" ? undefined : engine.obstacle;
  const remedy = remedyFor(session);
  if (obstacle === undefined) {
    return engine.status === "empty" && remedy !== undefined ? <CommandButton id={remedy} kind="primary" /> : undefined;
  }
  return (
    <div className="obstacle" role="status">
      <div className="obstacle-words">
        <p>
          <TriangleAlert aria-hidden size={14} /> {obstacle.message}
        </p>
        <p className="obstacle-hint">{obstacle.hint}</p>
      </div>
      {/* Continuing is in the panel's head already. */}
      {remedy && remedy !== "engine.continue" && <CommandButton id={remedy} kind="primary" />}
    </div>
  );
}
