/** Who held what when memory ran out, the largest first, each as a share of the capacity. */
import type { ReactNode } from "react";
import type { Holder } from "../../core/errors.ts";
import { consumerColour } from "../../core/timeline/consumer-colours.ts";
import { formatBytes } from "../../core/units.ts";
import { useColourScheme } from "../theme/apply-theme.ts";
import { Meter } from "./meter.tsx";
import "./holder-list.css";

export function HolderList(props: {
  readonly holders: readonly Holder[];
  /** Left out: the bars are shares of what all hold. */
  readonly capacityBytes: number | undefined;
  /** Beside each holder: what moves it away. */
  readonly wayOut?: (consumer: string) => ReactNode;
}): ReactNode {
  const { holders, capacityBytes, wayOut } = props;
  const scheme = useColourScheme();
  const totalBytes = capacityBytes ?? holders.reduce((sum, { bytes }) => sum + bytes, 0);
  return (
    <>
      <p className="holders-title">Who holds what</p>
      <ul className="holders figures" data-ways-out={wayOut !== undefined || undefined}>
        {holders
          .toSorted((one, other) => other.bytes - one.bytes)
          .map(({ consumer, bytes }) => (
            <li key={consumer}>
              <span>{consumer}</span>
              <Meter
                label={consumer}
                totalBytes={totalBytes}
                text={formatBytes(bytes)}
                parts={[{ bytes, colour: consumerColour(consumer, scheme) }]}
              />
              <span>{formatBytes(bytes)}</span>
              {wayOut?.(consumer)}
            </li>
          ))}
      </ul>
    </>
  );
}
