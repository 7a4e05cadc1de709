/**
 * Generations as people watch them: turns the engine's token events into text and speed, and tells at most 20 times a
 * second however fast tokens come.
 */

import type { Prompt } from "../../core/contract/commands.ts";
import type { GenerationState } from "../../core/contract/timeline.ts";
import type { Sampling } from "../../core/contract/vocabulary.ts";
import { TidelineError, toErrorData } from "../../core/errors.ts";
import type { FinishReason, GenerationEvent } from "../../native/addon.d.ts";
import type { Backend } from "./backend.ts";
import { withHint } from "./hints.ts";
import { type Throttled, throttle } from "./throttle.ts";
import { encodePrompt, type TokenStream } from "./tokenizer.ts";
import type { Tokenizers } from "./tokenizers.ts";

const UPDATE_INTERVAL_MS = 50;

export interface GenerationRequest {
  readonly prompt: Prompt;
  readonly batch: number;
  readonly maxNewTokens: number;
  readonly sampling: Sampling;
  readonly pastEndOfText: boolean;
}

type RequestState = GenerationState["requests"][number];

interface Running {
  readonly backend: Backend;
  /** The backend's own number: it starts again with every engine, the session's does not. */
  readonly backendNumber: number;
  state: GenerationState;
  lastTokenSeconds: number | undefined;
  readonly streams: readonly TokenStream[];
  /** Tokens that end a sequence: counted, and not text. */
  readonly stopTokenIds: ReadonlySet<number>;
  readonly updates: Throttled;
}

export class Generations {
  readonly #currentBackend: () => Backend;
  readonly #tokenizers: Tokenizers;
  readonly #publish: (generation: GenerationState) => void;
  readonly #running = new Map<number, Running>();
  #nextId = 1;

  constructor(currentBackend: () => Backend, tokenizers: Tokenizers, publish: (generation: GenerationState) => void) {
    this.#currentBackend = currentBackend;
    this.#tokenizers = tokenizers;
    this.#publish = publish;
  }

  /**
   * Starts one and resolves with its number.
   * @throws TidelineError `no_model`, `bad_argument` (text without a tokenizer), or the engine's refusal.
   */
  async start({ prompt, batch, maxNewTokens, sampling, pastEndOfText }: GenerationRequest): Promise<number> {
    const backend = this.#currentBackend();
    const { engine } = backend.observe();
    if (!engine) throw new TidelineError({ code: "no_model", message: "no checkpoint is open" });
    const tokenizer = await this.#tokenizers.of(engine.checkpoint);
    const promptIds = prompt.kind === "ids" ? prompt.ids : encodePrompt(tokenizer, prompt.text);
    // The same prompt in a batch differs by its seed only.
    const requests = Array.from({ length: batch }, (_, index) => ({
      promptIds,
      maxNewTokens,
      pastEndOfText,
      sampling: { ...sampling, seed: (sampling.seed + index) % Number.MAX_SAFE_INTEGER },
    }));
    const startedSeconds = Date.now() / 1000;
    // Events may come before the number does; they wait for it.
    let early: GenerationEvent[] | undefined = [];
    const id = this.#nextId++;
    const backendNumber = await backend.generate(requests, (events) => {
      if (early) early.push(...events);
      else this.#take(id, events);
    });
    const promptText = prompt.kind === "text" ? prompt.text : (tokenizer?.decode(promptIds) ?? promptIds.join(" "));
    const state: GenerationState = {
      id,
      startedSeconds,
      weightsVersion: engine.weightsVersion,
      checkpointName: engine.checkpoint.name,
      requests: requests.map(() => ({ prompt: promptText, promptTokens: promptIds.length, newTokens: 0, text: "" })),
      newTokens: 0,
      tokensPerSecond: 0,
    };
    const updates = throttle(UPDATE_INTERVAL_MS, () => this.#publish(running.state));
    const running: Running = {
      backend,
      backendNumber,
      state,
      lastTokenSeconds: undefined,
      updates,
      stopTokenIds: new Set(engine.stopTokenIds),
      streams: requests.map(() => tokenizer?.stream() ?? idStream()),
    };
    this.#running.set(id, running);
    this.#publish(state);
    this.#take(id, early);
    early = undefined;
    return id;
  }

  /** @throws TidelineError `not_found` for one that is over. */
  async cancel(id: number): Promise<void> {
    const running = this.#running.get(id);
    if (running) return running.backend.cancel(running.backendNumber);
    throw new TidelineError({ code: "not_found", message: `generation ${id} is not running`, hint: "It has ended." });
  }

  /** Stops the clocks; what still runs is the backend's to end. */
  stop(): void {
    for (const { updates } of this.#running.values()) updates.stop();
    this.#running.clear();
  }

  #take(id: number, events: readonly GenerationEvent[]): void {
    const running = this.#running.get(id);
    if (!running) return;
    const requests = [...running.state.requests];
    const { startedSeconds } = running.state;
    let { newTokens, tokensPerSecond } = running.state;
    for (const event of events) {
      const request = requests[event.index];
      const stream = running.streams[event.index];
      if (!request || !stream) continue;
      requests[event.index] = applyEvent(request, event, stream, running.stopTokenIds);
      if (event.type === "token") {
        newTokens++;
        running.lastTokenSeconds = event.timeSeconds;
        const seconds = event.timeSeconds - startedSeconds;
        if (seconds > 0) tokensPerSecond = newTokens / seconds;
      }
    }
    running.state = { ...running.state, requests, newTokens, tokensPerSecond };
    running.updates.request();
    if (requests.some(({ reason }) => reason === undefined)) return;
    // With its last token, where there is one: that it was told a little later is not the engine's time.
    running.state = { ...running.state, finishedSeconds: running.lastTokenSeconds ?? Date.now() / 1000 };
    running.updates.stop();
    this.#running.delete(id);
    this.#publish(running.state);
  }
}

function applyEvent(
  request: RequestState,
  event: GenerationEvent,
  stream: TokenStream,
  stopTokenIds: ReadonlySet<number>,
): RequestState {
  switch (event.type) {
    case "token": {
      const piece = stopTokenIds.has(event.tokenId) ? "" : stream.push(event.tokenId);
      return { ...request, newTokens: request.newTokens + 1, text: request.text + piece };
    }
    case "finished":
      return finished(request, event.reason, stream);
    case "error":
      return { ...finished(request, "failed", stream), error: withHint(toErrorData(event.error)) };
  }
}

function finished(request: RequestState, reason: FinishReason, stream: TokenStream): RequestState {
  // An error may be followed by the end of its request: the first reason stays.
  return request.reason === undefined ? { ...request, reason, text: request.text + stream.end() } : request;
}

/** Token ids separated by spaces, for checkpoints without a tokenizer. */
function idStream(): TokenStream {
  let first = true;
  return {
    push(id) {
      const text = first ? `${id}` : ` ${id}`;
      first = false;
      return text;
    },
    end: () => "",
  };
}
