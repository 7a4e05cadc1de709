/** What to generate: the prompt as text or ids, the length, the sampling, how many at once. */
import { Sparkles, Square } from "lucide-react";
import { type ReactNode, useId } from "react";
import { CommandButton } from "../../components/button.tsx";
import { CheckField, NumberField, Segmented } from "../../components/field.tsx";
import { checkDraft, editPrompt, type PromptDraft, promptKind, usePrompt } from "../../state/prompt.ts";
import { useSession } from "../../state/session.ts";

export function PromptForm(): ReactNode {
  const draft = usePrompt();
  const engine = useSession((store) => store.session?.engine);
  const hasTokenizer = engine !== undefined && engine.status !== "empty" && engine.checkpoint.hasTokenizer;
  const isEmpty = engine === undefined || engine.status === "empty";
  const check = checkDraft(draft, hasTokenizer);
  return (
    <form className="prompt-form" aria-label="Prompt" onSubmit={(event) => event.preventDefault()}>
      <PromptText draft={draft} hasTokenizer={hasTokenizer || isEmpty} />
      <div className="prompt-numbers">
        <NumberField
          label="New tokens"
          value={draft.maxNewTokens}
          min={1}
          onValue={(maxNewTokens) => editPrompt({ maxNewTokens })}
        />
        <NumberField label="Batch" value={draft.batch} min={1} max={256} onValue={(batch) => editPrompt({ batch })} />
        <Segmented
          legend="Sampling"
          value={draft.method}
          choices={[
            { value: "greedy", label: "Greedy" },
            { value: "sample", label: "Sample" },
          ]}
          onValue={(method) => editPrompt({ method })}
        />
      </div>
      {draft.method === "sample" && <SamplingNumbers draft={draft} />}
      <CheckField
        label="Go on past the end of text"
        title="Every sequence gets all its new tokens, as rollouts of an exact length need (ignore_eos)"
        checked={draft.pastEndOfText}
        onChecked={(pastEndOfText) => editPrompt({ pastEndOfText })}
      />
      <div className="prompt-actions">
        <CommandButton id="generate.start" kind="primary" icon={Sparkles} />
        <CommandButton id="generate.stop" icon={Square} />
        {!check.ok && !isEmpty && (
          <p className="field-problem" role="status">
            {check.problem}
          </p>
        )}
      </div>
    </form>
  );
}

function PromptText(props: { readonly draft: PromptDraft; readonly hasTokenizer: boolean }): ReactNode {
  const { draft, hasTokenizer } = props;
  const id = useId();
  const kind = promptKind(draft, hasTokenizer);
  return (
    <div className="prompt-text">
      <div className="prompt-text-head">
        <label htmlFor={id}>Prompt</label>
        <Segmented
          legend="Prompt as"
          value={kind}
          choices={[
            { value: "text", label: "Text", disabled: !hasTokenizer },
            { value: "ids", label: "Token ids" },
          ]}
          onValue={(next) => editPrompt({ kind: next })}
        />
      </div>
      <textarea
        id={id}
        className={`input ${kind === "ids" ? "mono" : ""}`}
        spellCheck={false}
        value={kind === "text" ? draft.text : draft.ids}
        placeholder={kind === "text" ? "Write something to continue" : "1 15 27"}
        onChange={({ target }) => editPrompt(kind === "text" ? { text: target.value } : { ids: target.value })}
      />
      {!hasTokenizer && <p className="field-hint">This checkpoint has no tokenizer.json: prompts are token ids.</p>}
    </div>
  );
}

function SamplingNumbers({ draft }: { readonly draft: PromptDraft }): ReactNode {
  return (
    <div className="prompt-numbers prompt-sampling">
      <NumberField
        label="Temperature"
        value={draft.temperature}
        min={0}
        step={0.1}
        onValue={(temperature) => editPrompt({ temperature })}
      />
      <NumberField label="Top-k (0: off)" value={draft.topK} min={0} onValue={(topK) => editPrompt({ topK })} />
      <NumberField
        label="Top-p (1: off)"
        value={draft.topP}
        min={0}
        max={1}
        step={0.05}
        onValue={(topP) => editPrompt({ topP })}
      />
      <NumberField label="Seed" value={draft.seed} min={0} onValue={(seed) => editPrompt({ seed })} />
    </div>
  );
}
