/** Product, screens, device, engine and connection at a glance, and the window's own commands. */
import { CircleHelp, Cpu, Footprints, Monitor, Moon, Search, SlidersHorizontal, Sun } from "lucide-react";
import type { ReactNode } from "react";
import type { DeviceState, EngineState } from "../../core/contract/state.ts";
import type { RunState } from "../../core/run/state.ts";
import { formatBytes } from "../../core/units.ts";
import { execute } from "../commands/registry.ts";
import { useCommand } from "../commands/use-commands.tsx";
import { CommandButton, CommandWords } from "../components/button.tsx";
import { Chip, type Tone } from "../components/chip.tsx";
import { Kbd } from "../components/kbd.tsx";
import { Meter } from "../components/meter.tsx";
import { Tooltip } from "../components/tooltip.tsx";
import { engineStatus } from "../screens/run/engine-status.ts";
import { runStatus } from "../screens/run/ppo/run-words.ts";
import { SCREENS, type Screen, type Theme, usePreferences } from "../state/preferences.ts";
import { type Connection, useSession } from "../state/session.ts";
import mark from "../theme/mark.svg";
import "./top-bar.css";

const THEME_ICONS = { system: Monitor, light: Sun, dark: Moon } as const satisfies Record<Theme, typeof Sun>;

const CONNECTIONS: Readonly<Record<Connection, { readonly text: string; readonly tone: Tone }>> = {
  connecting: { text: "connecting…", tone: "warning" },
  connected: { text: "connected", tone: "neutral" },
  lost: { text: "reconnecting…", tone: "danger" },
};

/** A restarted session has another token, which this page cannot know. */
const UNREACHED = "What you see is the last known state. If Tideline was restarted, open the address that it printed.";

export function TopBar(): ReactNode {
  const theme = usePreferences((preferences) => preferences.theme);
  return (
    <header className="top-bar">
      <h1 className="top-bar-product">
        <img src={mark} alt="" width={20} height={20} />
        Tideline
      </h1>
      <ScreenTabs />
      <DeviceSummaries />
      <DeviceUser />
      <CommandButton id="run.open" icon={Footprints} />
      <div className="top-bar-space" />
      <ConnectionState />
      <PaletteButton />
      <CommandButton
        id="window.device_settings"
        kind="quiet"
        icon={SlidersHorizontal}
        iconOnly
        label="Device settings"
      />
      <CommandButton id="window.theme" kind="quiet" icon={THEME_ICONS[theme]} iconOnly />
      <CommandButton id="window.shortcuts" kind="quiet" icon={CircleHelp} iconOnly />
    </header>
  );
}

function ScreenTabs(): ReactNode {
  const shown = usePreferences((preferences) => preferences.screen);
  return (
    <nav className="screen-tabs" aria-label="Screens">
      {SCREENS.map((screen) => (
        <ScreenTab key={screen} screen={screen} isShown={screen === shown} />
      ))}
    </nav>
  );
}

function ScreenTab({ screen, isShown }: { readonly screen: Screen; readonly isShown: boolean }): ReactNode {
  const command = useCommand(`screen.${screen}`);
  if (command === undefined) return undefined;
  return (
    <Tooltip content={<CommandWords command={command} />}>
      <button
        type="button"
        className="screen-tab"
        aria-current={isShown ? "page" : undefined}
        onClick={() => isShown || void execute(command)}
      >
        {command.label}
      </button>
    </Tooltip>
  );
}

function DeviceSummaries(): ReactNode {
  const session = useSession((store) => store.session);
  if (session === undefined) return undefined;
  const devices = [session.device, ...session.otherDevices.map(({ device }) => device)];
  return devices.map((device) => (
    <DeviceSummary key={device.name} device={device} hasRun={session.run !== undefined} isOnly={devices.length === 1} />
  ));
}

function DeviceSummary(props: {
  readonly device: DeviceState;
  readonly hasRun: boolean;
  readonly isOnly: boolean;
}): ReactNode {
  const { device, hasRun, isOnly } = props;
  // A run is about what its capacity holds; the process around it is not its business.
  const [usedBytes, ofBytes] = hasRun
    ? [device.committedBytes + device.heldBytes, device.capacityBytes]
    : [device.usedBytes, device.totalBytes];
  const text = `${formatBytes(usedBytes)} of ${formatBytes(ofBytes)}`;
  return (
    <Tooltip
      content={
        device.lost ?? (
          <dl className="facts figures">
            <dt>device</dt>
            <dd>{device.description}</dd>
            <dt>capacity for regions</dt>
            <dd>{formatBytes(device.capacityBytes)}</dd>
            <dt>committed</dt>
            <dd>{formatBytes(device.committedBytes)}</dd>
            <dt>held in the pool</dt>
            <dd>{formatBytes(device.heldBytes)}</dd>
            <dt>free</dt>
            <dd>{formatBytes(device.freeBytes)}</dd>
            <dt>host memory of backups</dt>
            <dd>{formatBytes(device.hostBackupBytes)}</dd>
            <dt>chunk</dt>
            <dd>{formatBytes(device.chunkBytes)}</dd>
          </dl>
        )
      }
    >
      <section
        className="device-summary"
        data-beside={!isOnly || undefined}
        aria-label={isOnly ? "Device" : `Device ${device.name}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: focus brings the figures that hovering does
        tabIndex={0}
      >
        <Cpu aria-hidden size={14} />
        <span className="device-name">{device.name}</span>
        {device.lost === undefined ? (
          <>
            <Meter
              label="Used on the device"
              totalBytes={ofBytes}
              text={text}
              parts={[{ bytes: usedBytes, colour: "var(--accent)" }]}
            />
            <span className="figures device-figures">{text}</span>
          </>
        ) : (
          <>
            <Chip tone="danger">lost</Chip>
            <CommandButton id="window.device_settings" label="Choose a device…" />
          </>
        )}
      </section>
    </Tooltip>
  );
}

/** What has the device: a PPO run, or the engine. */
function DeviceUser(): ReactNode {
  const session = useSession((store) => store.session);
  if (session === undefined) return undefined;
  if (session.run !== undefined) return <RunSummary run={session.run} />;
  // What was on a lost device is in no state at all.
  return session.device.lost === undefined ? <EngineSummary engine={session.engine} /> : undefined;
}

function RunSummary({ run }: { readonly run: RunState }): ReactNode {
  const { text, tone } = runStatus(run);
  return (
    <div className="engine-summary" role="status" aria-live="polite" aria-label="PPO run">
      <Chip tone={tone}>PPO run: {text}</Chip>
      <span className="engine-summary-name">{run.workload.name}</span>
    </div>
  );
}

function EngineSummary({ engine }: { readonly engine: EngineState }): ReactNode {
  const { text, tone } = engineStatus(engine);
  return (
    <div className="engine-summary" role="status" aria-live="polite" aria-label="Engine">
      <Chip tone={tone}>{text}</Chip>
      {engine.status !== "empty" && <span className="engine-summary-name">{engine.checkpoint.name}</span>}
    </div>
  );
}

function ConnectionState(): ReactNode {
  const connection = useSession((store) => store.connection);
  const { text, tone } = CONNECTIONS[connection];
  return (
    <span className="connection" role="status" aria-live="polite" data-connection={connection}>
      {connection === "connected" ? (
        <span className="visually-hidden">{text}</span>
      ) : (
        <>
          {connection === "lost" && (
            <span className="connection-hint" title={UNREACHED}>
              {UNREACHED}
            </span>
          )}
          <Chip tone={tone} title={UNREACHED}>
            {text}
          </Chip>
        </>
      )}
    </span>
  );
}

function PaletteButton(): ReactNode {
  const command = useCommand("window.palette");
  const chord = command?.keys?.[0];
  return (
    <button type="button" className="palette-button" onClick={() => void command?.run()}>
      <Search aria-hidden size={14} />
      <span>Find a command</span>
      {chord && <Kbd chord={chord} />}
    </button>
  );
}
