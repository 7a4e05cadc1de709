/** The generations of this session: the chosen one in full, its requests side by side, the others one click away. */
import { type ReactNode, type RefObject, useLayoutEffect, useRef } from "react";
import type { GenerationState } from "../../../core/contract/timeline.ts";
import { formatBytes, formatSeconds } from "../../../core/units.ts";
import { Chip, type Tone } from "../../components/chip.tsx";
import { ErrorBox } from "../../components/error-words.tsx";
import { selectGeneration, shownGeneration, useActivity } from "../../state/activity.ts";
import { useSession } from "../../state/session.ts";
import { clockWords, rateWords } from "./figures.ts";
import "./generation-output.css";

type Request = GenerationState["requests"][number];

const REASONS: Readonly<Record<NonNullable<Request["reason"]>, { readonly text: string; readonly tone: Tone }>> = {
  length: { text: "all tokens", tone: "neutral" },
  stop: { text: "end of text", tone: "ok" },
  cancelled: { text: "stopped", tone: "warning" },
  aborted: { text: "aborted by pause", tone: "warning" },
  failed: { text: "failed", tone: "danger" },
};

export function GenerationOutput(): ReactNode {
  const { generations, selectedGeneration } = useActivity();
  const shown = shownGeneration(generations, selectedGeneration);
  if (shown === undefined) {
    return (
      <div className="generation-output">
        <p className="panel-empty">Generated text appears here, token by token.</p>
      </div>
    );
  }
  return (
    <div className="generation-output">
      <GenerationTabs generations={generations} shown={shown} />
      <GenerationFigures generation={shown} />
      <Requests key={shown.id} generation={shown} />
    </div>
  );
}

/** One request fills the place; several are boxes side by side, each showing the end of its own text. */
function Requests({ generation }: { readonly generation: GenerationState }): ReactNode {
  const { requests } = generation;
  const isOne = requests.length === 1;
  const list = useRef<HTMLOListElement>(null);
  useTail(list, isOne && requests[0]?.reason === undefined, generation.newTokens);
  return (
    <ol className="generation-requests" ref={list} data-many={!isOne || undefined}>
      {requests.map((request, index) => (
        // Requests of a generation are a fixed list.
        // biome-ignore lint/suspicious/noArrayIndexKey: see above
        <RequestText key={index} request={request} number={isOne ? undefined : index + 1} />
      ))}
    </ol>
  );
}

/** How near to the end counts as being there. */
const AT_END_PX = 40;

/** Keeps the end in view while text arrives, unless somebody scrolled up to read. */
function useTail(scroller: RefObject<HTMLElement | null>, isRunning: boolean, tokens: number): void {
  const shownHeight = useRef(0);
  // biome-ignore lint/correctness/useExhaustiveDependencies: new tokens are what moves the end
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element === null) return;
    const wasAtEnd = element.scrollTop + element.clientHeight >= shownHeight.current - AT_END_PX;
    shownHeight.current = element.scrollHeight;
    if (isRunning && wasAtEnd) element.scrollTop = element.scrollHeight;
  }, [scroller, isRunning, tokens]);
}

function GenerationTabs(props: {
  readonly generations: readonly GenerationState[];
  readonly shown: GenerationState;
}): ReactNode {
  return (
    <ul className="generation-tabs" aria-label="Generations of this session, newest first">
      {props.generations.toReversed().map((generation) => (
        <li key={generation.id}>
          <button
            type="button"
            className="generation-tab figures"
            aria-current={generation.id === props.shown.id || undefined}
            onClick={() => selectGeneration(generation.id)}
            title={`${clockWords(generation.startedSeconds)}, ${generation.checkpointName}, weights v${generation.weightsVersion}: ${generation.requests[0]?.prompt ?? ""}`}
          >
            <span className="generation-tab-dot" data-running={generation.finishedSeconds === undefined || undefined} />
            #{generation.id}
            <span className="generation-tab-more">{generation.newTokens.toLocaleString("en")} tok</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function GenerationFigures({ generation }: { readonly generation: GenerationState }): ReactNode {
  const session = useSession((store) => store.session);
  const running = generation.finishedSeconds === undefined;
  const kvCache = session?.consumers.find(({ consumer }) => consumer === "engine.kv_cache");
  const promptTokens = generation.requests.reduce((sum, request) => sum + request.promptTokens, 0);
  return (
    <dl className="generation-figures figures">
      <Figure name="speed" value={rateWords(generation.tokensPerSecond)} strong />
      <Figure name="new tokens" value={generation.newTokens.toLocaleString("en")} />
      <Figure name="prompt" value={promptTokens.toLocaleString("en")} />
      {generation.finishedSeconds !== undefined && (
        <Figure name="took" value={formatSeconds(generation.finishedSeconds - generation.startedSeconds)} />
      )}
      {running && kvCache && <Figure name="KV in use" value={formatBytes(kvCache.usedBytes)} />}
      {running && session && <Figure name="device" value={formatBytes(session.device.usedBytes)} />}
      <Figure name="weights" value={`${generation.checkpointName} v${generation.weightsVersion}`} />
    </dl>
  );
}

function Figure(props: { readonly name: string; readonly value: string; readonly strong?: boolean }): ReactNode {
  return (
    <div data-strong={props.strong || undefined}>
      <dt>{props.name}</dt>
      <dd title={props.value}>{props.value}</dd>
    </div>
  );
}

function RequestText({
  request,
  number,
}: {
  readonly request: Request;
  readonly number: number | undefined;
}): ReactNode {
  const reason = request.reason && REASONS[request.reason];
  const text = useRef<HTMLParagraphElement>(null);
  useTail(text, number !== undefined && request.reason === undefined, request.newTokens);
  return (
    <li className="generation-request">
      {(number !== undefined || reason) && (
        <div className="generation-request-head">
          {number !== undefined && <span>{number}</span>}
          {number !== undefined && <span className="figures">{request.newTokens.toLocaleString("en")} tok</span>}
          {reason && <Chip tone={reason.tone}>{reason.text}</Chip>}
        </div>
      )}
      <p className="generation-text" ref={text} aria-busy={request.reason === undefined}>
        <span className="generation-prompt">{request.prompt}</span>
        {joint(request)}
        {request.text}
        {request.reason === undefined && request.error === undefined && <span className="caret" aria-hidden />}
      </p>
      {request.error && <ErrorBox error={request.error} />}
    </li>
  );
}

/** Text continues where the prompt ends; token ids are separate words. */
function joint({ prompt, text }: Request): string {
  const areIds = /^[\d ]+$/.test(prompt) && /^[\d ]*$/.test(text);
  return areIds ? " " : "";
}
