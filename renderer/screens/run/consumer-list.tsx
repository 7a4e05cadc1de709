/** Who holds bytes on the device, in which state, and what can be done about it. */
import { type ReactNode, useMemo } from "react";
import { isOfRegions } from "../../../core/consumers.ts";
import type { ConsumerState, SessionState } from "../../../core/contract/state.ts";
import { formatBytes } from "../../../core/units.ts";
import { Skeleton } from "../../components/skeleton.tsx";
import { useSession } from "../../state/session.ts";
import { ConsumerRow, PlainRow } from "./consumer-row.tsx";
import "./consumer-list.css";

export function ConsumerList(): ReactNode {
  const session = useSession((store) => store.session);
  return (
    <section className="panel consumer-list" aria-labelledby="consumers-title">
      <header className="panel-header">
        <h2 className="panel-title" id="consumers-title">
          Memory
        </h2>
        {session && (
          <span
            className="consumer-total figures"
            title="Of the capacity that is set for regions. The timeline's capacity lies higher: the device also holds the context, which was there before."
          >
            {formatBytes(session.device.committedBytes)} committed · {formatBytes(session.device.freeBytes)} free of{" "}
            {formatBytes(session.device.capacityBytes)}
          </span>
        )}
      </header>
      {session === undefined ? <Skeleton rows={4} /> : <Rows session={session} />}
    </section>
  );
}

function Rows({ session }: { readonly session: SessionState }): ReactNode {
  const { device } = session;
  const regions = session.consumers.filter(isRegion);
  const largestBytes = useMemo(
    () => Math.max(device.contextBytes, ...regions.map(({ reservedBytes }) => reservedBytes)),
    [device.contextBytes, regions],
  );
  return (
    <ul className="consumer-rows">
      {regions.map((consumer) => (
        <ConsumerRow key={consumer.consumer} consumer={consumer} scaleBytes={largestBytes} />
      ))}
      {device.heldBytes > 0 && (
        <PlainRow
          consumer="pool"
          bytes={device.heldBytes}
          scaleBytes={largestBytes}
          words="released chunks that this process keeps for the next region"
          commandId="pool.trim"
        />
      )}
      <PlainRow
        consumer="context"
        bytes={device.contextBytes}
        scaleBytes={largestBytes}
        words="there before the first region"
      />
      <PlainRow
        consumer="unaccounted"
        bytes={unaccountedBytes(session)}
        scaleBytes={largestBytes}
        words="used, but held by none of these"
      />
    </ul>
  );
}

/** What the device says is used and no row explains; regions may claim pages that were never touched. */
export function unaccountedBytes({ device }: SessionState): number {
  return Math.max(0, device.usedBytes - device.contextBytes - device.committedBytes - device.heldBytes);
}

/** Rows made from the device's own figures, should the session list them too. */
function isRegion({ consumer }: ConsumerState): boolean {
  return isOfRegions(consumer);
}
