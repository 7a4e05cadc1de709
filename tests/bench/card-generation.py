"""What card-generation.cc measures, with transformers: random weights of the same shapes, bfloat16, sdpa, greedy, the same
lengths of prompts and responses. The time of one new token, which is the prompt's, is taken off."""

import sys
import time

import torch
from transformers import AutoModelForCausalLM, Qwen2Config

PROMPT_TOKENS = 128
NEW_TOKENS = 65
SHAPES = {
    "0.5B": dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14,
                 num_key_value_heads=2, vocab_size=151936, tie_word_embeddings=True),
    "7B": dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28,
               num_key_value_heads=4, vocab_size=152064, tie_word_embeddings=False),
}


def seconds(model, ids, new_tokens, **options):
    torch.cuda.synchronize()
    started = time.perf_counter()
    model.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=new_tokens,
                   min_new_tokens=new_tokens, pad_token_id=0, eos_token_id=None, **options)
    torch.cuda.synchronize()
    return time.perf_counter() - started


for name in sys.argv[1:] or SHAPES:
    torch.manual_seed(0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(Qwen2Config(**SHAPES[name]), dtype=torch.bfloat16,
                                                 attn_implementation="sdpa")
    model = model.to_empty(device="cuda").eval()
    model.tie_weights()
    with torch.no_grad():
        for key, value in model.named_parameters():
            value.fill_(1) if key.endswith("norm.weight") else value.normal_(0, 0.02)
    # to_empty() leaves the rotation's frequencies undefined.
    model.model.rotary_emb = type(model.model.rotary_emb)(config=model.config).to("cuda")
    for batch in (1, 16, 64):
        ids = torch.randint(0, SHAPES[name]["vocab_size"], (batch, PROMPT_TOKENS), device="cuda")
        with torch.inference_mode():
            seconds(model, ids, 3)
            first = min(seconds(model, ids, 1) for _ in range(2))
            both = min(seconds(model, ids, NEW_TOKENS) for _ in range(2))
        step = (both - first) / (NEW_TOKENS - 1)
        print(f"{name:5} transformers batch {batch:2}: {batch / step:8.1f} tokens/s, step {1e3 * step:7.3f} ms; "
              f"prompts in {1e3 * first:.1f} ms", flush=True)
    del model
    torch.cuda.empty_cache()
