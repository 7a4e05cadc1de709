/** An estimate under the names of h100-pytorch-measured.json (tests/fixtures/README.md), so that the two can be held together. */
import { MIB } from "../../../units.ts";
import type { Estimate, Reserved, StepEstimate } from "./estimate.ts";
import type { EstimateQuestion } from "./question.ts";

const mib = (bytes: number): number => Math.round((bytes / MIB) * 10) / 10;

/** The estimate as a row of h100-pytorch-measured.json; a band beside every reserved figure. */
export function asMeasured(
  name: string,
  question: EstimateQuestion,
  { parameters, weightsBytes, contextBytes, stages }: Estimate,
) {
  const used = ({ bytes }: Reserved) => mib(contextBytes + bytes);
  const band = ({ lowestBytes, highestBytes }: Reserved) => [mib(lowestBytes), mib(highestBytes)] as const;
  const step = (figures: StepEstimate) => ({
    forward_end_allocated_mib: mib(figures.forwardEndBytes),
    forward_peak_allocated_mib: mib(figures.forwardPeakBytes),
    backward_peak_allocated_mib: mib(figures.backwardPeakBytes),
    backward_peak_reserved_mib: mib(figures.backwardPeakReserved.bytes),
    backward_peak_reserved_band_mib: band(figures.backwardPeakReserved),
    after_optimizer_step_allocated_mib: mib(figures.afterOptimizerStepBytes),
    after_zero_grad_allocated_mib: mib(figures.afterZeroGradBytes),
    device_used_mib: used(figures.backwardPeakReserved),
  });
  return {
    model: name,
    parameters,
    batch: question.batch,
    sequence: question.sequence,
    precision: question.precision === "fp32-master" ? "fp32-master-autocast-bf16" : question.precision,
    gradient_checkpointing: question.gradientCheckpointing,
    workload: question.workload,
    weights_mib: mib(weightsBytes),
    ...(stages.workload === "score"
      ? {
          score: {
            peak_allocated_mib: mib(stages.peakAllocatedBytes),
            peak_reserved_mib: mib(stages.peakReserved.bytes),
            peak_reserved_band_mib: band(stages.peakReserved),
            device_used_mib: used(stages.peakReserved),
          },
        }
      : { first_step: step(stages.firstStep), steady_step: step(stages.steadyStep) }),
  };
}
