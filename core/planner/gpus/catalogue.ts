/**
 * The GPUs that Tideline plans with. Totals are what CUDA reports, never the size on the box: "80 GB" is 79.2 GiB here and
 * would be 74.5 or 80 elsewhere. Each figure says whether it was measured; all of them can be replaced in a plan.
 */
import { GIB, MIB } from "../../units.ts";
import type { Figure, Provenance } from "../provenance.ts";

export interface Gpu {
  readonly name: string;
  /** `cuMemGetInfo`'s total. */
  readonly totalBytes: Figure;
  /** What nvidia-smi reports, by which SGLang chooses its defaults. */
  readonly smiBytes: Figure;
  readonly memoryBytesPerSecond: Figure;
  readonly hostToDeviceBytesPerSecond: Figure;
  readonly deviceToHostBytesPerSecond: Figure;
  /** To another GPU of the host, one way. */
  readonly peerBytesPerSecond: Figure;
  /** Dense matrix products in bfloat16, and in float32. */
  readonly flopsPerSecond: Figure;
  readonly float32FlopsPerSecond: Figure;
  /** Kernels choose their temporaries by it. */
  readonly multiprocessors: number;
  /** What cuBLAS takes for itself in each thread that calls it. */
  readonly cublasBytes: number;
}

/** The embedded engine's device: this machine's memory under a capacity that the plan sets. */
export const HOST = "host";

type Given = readonly [value: number, provenance: Provenance, source: string];

interface Row {
  readonly name: string;
  readonly totalGib: Given;
  readonly smiMib: Given;
  /** GB/s, powers of ten, as links are sold. */
  readonly memoryGb: Given;
  readonly hostLink: Link;
  readonly peerGb: Given;
  readonly tflops: readonly [bf16: number, fp32: number];
  readonly multiprocessors: number;
  readonly hopper?: boolean;
}

interface Link {
  readonly toDeviceGb: Given;
  readonly toHostGb: Given;
}

const SHEET = "the maker's data sheet";
const sheet = (value: number): Given => [value, "assumption", SHEET];
const measured = (value: number, source: string): Given => [value, "measured", source];
const assumed = (value: number, source: string): Given => [value, "assumption", source];

const H100_LINK: Link = {
  toDeviceGb: measured(54.5, "8 GiB pinned on an H100 80GB HBM3, PCIe 5 x16"),
  toHostGb: measured(55, "8 GiB pinned on an H100 80GB HBM3, PCIe 5 x16"),
};
const H200_LINK: Link = {
  toDeviceGb: measured(55.43, "nvbandwidth on an H200, stas00/ml-engineering network/README"),
  toHostGb: measured(55.06, "nvbandwidth on an H200, stas00/ml-engineering network/README"),
};
const linkOf = (gb: number, source: string): Link => ({
  toDeviceGb: assumed(gb, source),
  toHostGb: assumed(gb, source),
});
const PCIE_5 = linkOf(55, "as measured on an H200, PCIe 5 x16");
const PCIE_4 = linkOf(25, "88 % of PCIe 4 x16");

const nvlink = (gb: number): Given => [gb, "assumption", "NVLink, one way, the maker's data sheet"];
const overPcie = ({ toDeviceGb: [gb] }: Link): Given => [gb, "assumption", "through the host: no NVLink assumed"];

const ROWS: readonly Row[] = [
  {
    name: "H100 SXM",
    totalGib: measured(81_079 / 1024, "cuMemGetInfo on an H100 80GB HBM3, driver 580"),
    smiMib: measured(81_559, "nvidia-smi"),
    memoryGb: sheet(3350),
    hostLink: H100_LINK,
    peerGb: nvlink(450),
    tflops: [989, 67],
    multiprocessors: 132,
    hopper: true,
  },
  {
    name: "H100 PCIe",
    totalGib: assumed(81_079 / 1024, "as the SXM card, which has the same size in nvidia-smi"),
    smiMib: measured(81_559, "nvidia-smi"),
    memoryGb: sheet(2000),
    hostLink: PCIE_5,
    peerGb: overPcie(PCIE_5),
    tflops: [756, 51],
    multiprocessors: 114,
    hopper: true,
  },
  {
    name: "H200",
    totalGib: measured(139.8, "vllm-omni#1842"),
    smiMib: measured(143_771, "nvidia-smi"),
    memoryGb: sheet(4800),
    hostLink: H200_LINK,
    peerGb: nvlink(450),
    tflops: [989, 67],
    multiprocessors: 132,
    hopper: true,
  },
  {
    name: "B200",
    totalGib: measured(178.36, "vllm#21489"),
    smiMib: measured(183_359, "nvidia-smi"),
    memoryGb: sheet(8000),
    hostLink: PCIE_5,
    peerGb: nvlink(900),
    tflops: [2250, 75],
    multiprocessors: 148,
    hopper: true,
  },
  {
    name: "A100 80GB SXM",
    totalGib: measured(79.15, "vLLM and DeepSpeed logs, 79.15 to 79.25"),
    smiMib: assumed(81_920, "general knowledge"),
    memoryGb: sheet(2039),
    hostLink: PCIE_4,
    peerGb: nvlink(300),
    tflops: [312, 19.5],
    multiprocessors: 108,
  },
  {
    name: "A100 80GB PCIe",
    totalGib: measured(79.15, "vLLM and DeepSpeed logs, 79.15 to 79.25"),
    smiMib: assumed(81_920, "general knowledge"),
    memoryGb: sheet(1935),
    hostLink: PCIE_4,
    peerGb: overPcie(PCIE_4),
    tflops: [312, 19.5],
    multiprocessors: 108,
  },
  {
    name: "A100 40GB",
    totalGib: measured(39.5, "1.20 GiB used and 38.30 free in a public log"),
    smiMib: assumed(40_960, "general knowledge"),
    memoryGb: sheet(1555),
    hostLink: PCIE_4,
    peerGb: nvlink(300),
    tflops: [312, 19.5],
    multiprocessors: 108,
  },
  {
    name: "L40S",
    totalGib: assumed(44.4, "nvidia-smi with ECC on, less what CUDA keeps on other cards"),
    smiMib: measured(46_068, "nvidia-smi, ECC on"),
    memoryGb: sheet(864),
    hostLink: PCIE_4,
    peerGb: overPcie(PCIE_4),
    tflops: [362, 91.6],
    multiprocessors: 142,
  },
  {
    name: "RTX 4090",
    totalGib: measured(23.55, "vllm#11550, 23.5 to 23.65"),
    smiMib: measured(24_564, "nvidia-smi, vllm#7553"),
    memoryGb: sheet(1008),
    hostLink: PCIE_4,
    peerGb: overPcie(PCIE_4),
    tflops: [165.2, 82.6],
    multiprocessors: 128,
  },
  {
    name: "RTX 3090",
    totalGib: measured(23.58, "vllm#14447"),
    smiMib: assumed(24_576, "general knowledge"),
    memoryGb: sheet(936),
    hostLink: PCIE_4,
    peerGb: overPcie(PCIE_4),
    tflops: [71, 35.6],
    multiprocessors: 82,
  },
  {
    name: "RTX 5090",
    totalGib: measured(31.4, "club-3090#1087"),
    smiMib: measured(32_607, "nvidia-smi"),
    memoryGb: sheet(1792),
    hostLink: linkOf(50, "PCIe 5 x16 of a desktop whose memory copies 59 GB/s"),
    peerGb: assumed(50, "through the host: no NVLink assumed"),
    tflops: [209.5, 104.8],
    multiprocessors: 170,
  },
  {
    name: "RTX 6000 Ada",
    totalGib: measured(47.5, "an A6000 of the same size, 47.50"),
    smiMib: measured(49_140, "nvidia-smi"),
    memoryGb: assumed(960, "general knowledge"),
    hostLink: PCIE_4,
    peerGb: overPcie(PCIE_4),
    tflops: [364, 91.1],
    multiprocessors: 142,
  },
  {
    name: "RTX PRO 6000 Blackwell",
    totalGib: measured(94.97, "94.50 also seen"),
    smiMib: measured(97_887, "nvidia-smi"),
    memoryGb: assumed(1792, "general knowledge"),
    hostLink: PCIE_5,
    peerGb: overPcie(PCIE_5),
    tflops: [503.8, 125],
    multiprocessors: 188,
  },
];

/** cuBLAS's workspace in PyTorch: 32 MiB since Hopper, 8 MiB and a little before. */
const CUBLAS_BYTES = { hopper: 32 * MIB, before: 4096 * 2048 + 16 * 8192 } as const;

const figure = ([value, provenance, source]: Given, unit: number): Figure => ({
  value: Math.round(value * unit),
  provenance,
  source,
});

/** In the order in which they are offered. */
export const GPUS: readonly Gpu[] = ROWS.map(({ name, hostLink, tflops: [bf16, fp32], ...row }) => ({
  name,
  totalBytes: figure(row.totalGib, GIB),
  smiBytes: figure(row.smiMib, MIB),
  memoryBytesPerSecond: figure(row.memoryGb, 1e9),
  hostToDeviceBytesPerSecond: figure(hostLink.toDeviceGb, 1e9),
  deviceToHostBytesPerSecond: figure(hostLink.toHostGb, 1e9),
  peerBytesPerSecond: figure(row.peerGb, 1e9),
  flopsPerSecond: figure(sheet(bf16), 1e12),
  float32FlopsPerSecond: figure(sheet(fp32), 1e12),
  multiprocessors: row.multiprocessors,
  cublasBytes: row.hopper ? CUBLAS_BYTES.hopper : CUBLAS_BYTES.before,
}));
