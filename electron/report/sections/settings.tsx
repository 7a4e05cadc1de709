/** Everything that is needed to run the same again. */
import type { ReactNode } from "react";
import type { ReportedDevice, RunReport } from "../../../core/report/report.ts";
import type { WorkloadSummary } from "../../../core/run/state.ts";
import { describeStrategies } from "../../../core/schedule/build.ts";
import type { Roles } from "../../../core/schedule/schedule.ts";
import { formatBytes } from "../../../core/units.ts";
import { Section, Table } from "./section.tsx";

export function Settings({ report }: { readonly report: RunReport }): ReactNode {
  const { settings, own, savedTo, saveFailure } = report;
  const { workload } = settings;
  const { strategies } = own.schedule;
  const builtFrom = strategies && describeStrategies(strategies);
  const facts: readonly Fact[] = [
    ["Command", <code key="command">{settings.command}</code>],
    ["Workload", workload.name],
    ["Task", workload.task],
    ["Schedule", own.schedule.name],
    // A schedule that nobody renamed is called by its strategies.
    ...(builtFrom === undefined || builtFrom === own.schedule.name ? [] : [["Built from", builtFrom] as const]),
    ["Seed", String(workload.seed)],
    ...deviceFacts(settings.devices),
    ["KV cache", formatBytes(workload.kvCacheBytes)],
    ["Rollouts", `${workload.rollouts} per step, at most ${workload.maxNewTokens} new tokens each`],
    ["Sequences", `at most ${workload.sequenceTokens} tokens, ${workload.microBatch} at once`],
    ...(savedTo === undefined ? [] : [["Policy saved to", savedTo] as const]),
    ...(saveFailure === undefined ? [] : [["Policy not saved", saveFailure.message] as const]),
  ];
  return (
    <Section id="settings" title="Settings">
      <div className="halves">
        <Facts facts={facts} />
        <div>
          <Table
            caption="Roles, in which precision they lie on the device, and what they were loaded from"
            columns={[
              { name: "Role" },
              { name: "Precision" },
              { name: "Checkpoint" },
              ...(settings.devices.length > 1 ? [{ name: "Device" }] : []),
            ]}
            rows={roleRows(workload, own.schedule.roles, settings.devices)}
          />
          <Facts facts={settings.learning} />
        </div>
      </div>
    </Section>
  );
}

function deviceFacts(devices: readonly ReportedDevice[]): readonly Fact[] {
  return devices.flatMap(({ name, description, capacityBytes }): readonly Fact[] => {
    const [device, capacity] = [`${name}: ${description}`, formatBytes(capacityBytes)];
    return devices.length === 1
      ? [
          ["Device", device],
          ["Capacity", capacity],
        ]
      : [["Device", `${device}, capacity ${capacity}`]];
  });
}

type Fact = readonly [name: string, value: ReactNode];

function Facts({ facts }: { readonly facts: readonly Fact[] }): ReactNode {
  return (
    <dl className="facts">
      {facts.map(([name, value], index) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: two devices have one name, and nothing here ever moves.
        <div key={index}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Precisions are those of the schedule: a strategy may have quantised a role. */
function roleRows(
  { checkpoints }: WorkloadSummary,
  roles: Roles,
  devices: readonly ReportedDevice[],
): readonly (readonly string[])[] {
  const { policy, critic, reference, reward } = checkpoints;
  const rows = [
    ["engine", roles.engine, folderName(policy)],
    ["policy", roles.policy, folderName(policy)],
    ["critic", roles.critic, folderName(critic)],
    ["reference", roles.reference, folderName(reference)],
    ["reward", roles.reward, reward === undefined ? "–" : folderName(reward)],
  ] as const;
  if (devices.length === 1) return rows;
  return rows.map((row) => [
    ...row,
    devices.find(({ holds }) => holds.some((placed) => placed === row[0]))?.name ?? "–",
  ]);
}

/** Not the whole path: a report is given to others. */
function folderName(path: string): string {
  return path.split("/").findLast((part) => part !== "") ?? path;
}
