/** Which GPU, and its figures: those of the catalogue, each with where it comes from, until somebody writes another. */
import { Gauge } from "lucide-react";
import { type ReactNode, useMemo } from "react";
import type { DeviceState, SessionState } from "../../../../core/contract/state.ts";
import { GPUS, HOST } from "../../../../core/planner/gpus/catalogue.ts";
import { gpuOfDevice, plannedGpu } from "../../../../core/planner/gpus/planned-gpu.ts";
import type { Plan, PlannedGpu } from "../../../../core/planner/plan.ts";
import type { Figure } from "../../../../core/planner/provenance.ts";
import { formatBytes } from "../../../../core/units.ts";
import { CommandButton } from "../../../components/button.tsx";
import { Chip } from "../../../components/chip.tsx";
import { editPlan, usePlan } from "../../../state/plan.ts";
import { useSession } from "../../../state/session.ts";
import { useProblem } from "../evaluation.ts";
import { PROVENANCE_WORDS } from "../provenance-words.ts";
import { OptionalNumberRow, Row, SizeRow } from "./controls.tsx";
import { Fold } from "./fold.tsx";
import { optionalGpuField } from "./lens.ts";

interface Offered {
  readonly label: string;
  readonly gpu: PlannedGpu;
}

export function GpuRow(): ReactNode {
  const gpu = usePlan(({ plan }) => plan.gpu);
  const session = useSession((store) => store.session);
  const here = useMemo(() => offeredHere(session), [session]);
  const problem = useProblem("gpu.name");
  const own = here.findIndex((offered) => offered.gpu.name === gpu.name && offered.gpu.totalBytes === gpu.totalBytes);
  const choose = (value: string) => {
    const found = value.startsWith(HERE) ? here[Number(value.slice(HERE.length))]?.gpu : { name: value };
    if (found !== undefined) editPlan("gpu.name", (plan) => withGpu(plan, found));
  };
  return (
    <Row label="GPU" problem={problem?.message}>
      <select
        className="input plan-select"
        aria-label="GPU"
        value={own >= 0 ? `${HERE}${own}` : gpu.name}
        onChange={({ target }) => choose(target.value)}
      >
        <optgroup label="This machine">
          {here.map(({ label }, index) => (
            <option key={label} value={`${HERE}${index}`}>
              {label}
            </option>
          ))}
          {gpu.name === HOST && own < 0 && <option value={HOST}>{hostLabel(gpu.totalBytes)}</option>}
        </optgroup>
        <optgroup label="Catalogue">
          {GPUS.map(({ name, totalBytes }) => (
            <option key={name} value={name}>
              {name}, {formatBytes(totalBytes.value)}
            </option>
          ))}
        </optgroup>
      </select>
    </Row>
  );
}

const HERE = "here:";

/** The cards that the driver reports and the catalogue knows, and the host as a small one. */
function offeredHere(session: SessionState | undefined): readonly Offered[] {
  if (session === undefined) return [];
  const cards = session.devices.flatMap((device): readonly Offered[] => {
    const gpu = gpuOfDevice(device);
    return gpu === undefined ? [] : [{ label: `${device.name}: ${gpu.name}`, gpu }];
  });
  return session.device.name === HOST ? [...cards, hostOffered(session.device)] : cards;
}

function hostOffered({ capacityBytes, chunkBytes }: DeviceState): Offered {
  return { label: hostLabel(capacityBytes), gpu: { name: HOST, totalBytes: capacityBytes, chunkBytes } };
}

function hostLabel(totalBytes: number | undefined): string {
  return totalBytes === undefined ? "host" : `host, ${formatBytes(totalBytes)}`;
}

/** The host is one device; the rest of the placement stays. */
function withGpu(plan: Plan, gpu: PlannedGpu): Plan {
  if (gpu.name !== HOST) return { ...plan, gpu };
  const { gpusPerNode } = plan.placement;
  const placement = {
    kind: "colocated",
    gpus: 1,
    gpusPerNode,
    tensorParallel: 1,
    zeroStage: 0,
    engineTensorParallel: 1,
  } as const;
  return { ...plan, gpu, placement };
}

const GB_PER_SECOND = { of: 1e9, name: "GB/s" } as const;

export function GpuFold(): ReactNode {
  const gpu = usePlan(({ plan }) => plan.gpu);
  const figures = useMemo(() => figuresOf(gpu), [gpu]);
  const changed = SET_FIGURES.filter((name) => gpu[name] !== undefined).length;
  const summary = [
    figures && formatBytes(figures.own.totalBytes.value),
    gpu.measured !== undefined && "measured here",
    gpu.name !== HOST && changed > 0 && `${changed} changed`,
  ];
  return (
    <Fold title="GPU figures" summary={summary.filter((one) => typeof one === "string").join(", ")} fields={["gpu"]}>
      <SizeRow
        label="Memory"
        title="As CUDA reports it, not as it is sold"
        lens={optionalGpuField("totalBytes")}
        placeholder={figures === undefined ? "1 GiB" : formatBytes(figures.given.totalBytes.value)}
        after={<Source figure={figures?.own.totalBytes} />}
      />
      {SPEEDS.map(({ name, label, title }) => (
        <OptionalNumberRow
          key={name}
          label={label}
          title={title}
          lens={optionalGpuField(name)}
          placeholder={figures === undefined ? "" : String(Number((figures.given[name].value / 1e9).toPrecision(3)))}
          unit={GB_PER_SECOND}
          after={<Source figure={figures?.own[name]} />}
        />
      ))}
      <CommandButton id="plan.measure_link" icon={Gauge} className="plan-measure" />
    </Fold>
  );
}

const SET_FIGURES = [
  "totalBytes",
  "memoryBytesPerSecond",
  "hostToDeviceBytesPerSecond",
  "deviceToHostBytesPerSecond",
] as const satisfies readonly (keyof PlannedGpu)[];

const SPEEDS = [
  { name: "memoryBytesPerSecond", label: "Bandwidth", title: "Of the device's memory" },
  { name: "hostToDeviceBytesPerSecond", label: "From the host", title: "Over the link, host to device" },
  { name: "deviceToHostBytesPerSecond", label: "To the host", title: "Over the link, device to host" },
] as const;

/** The figures in use, and those that they take the place of; undefined while the plan names no GPU that has any. */
function figuresOf(gpu: PlannedGpu) {
  const { name, totalBytes, measured } = gpu;
  try {
    const given = plannedGpu({
      name,
      // The host has no size of its own.
      ...(name === HOST && totalBytes !== undefined && { totalBytes }),
      ...(measured !== undefined && { measured }),
    });
    return { own: plannedGpu(gpu), given };
  } catch {
    return undefined;
  }
}

function Source({ figure }: { readonly figure: Figure | undefined }): ReactNode {
  if (figure === undefined) return undefined;
  const { label, tone } = PROVENANCE_WORDS[figure.provenance];
  return (
    <Chip tone={tone} title={figure.source}>
      {label}
    </Chip>
  );
}
