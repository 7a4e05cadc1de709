"""The PPO update of card-training.ts with PyTorch and transformers, on the same card: one JSON line per mode.

    python3 card-training.py --model /tmp/qwen2.5-0.5b

Modes, each without and with gradient checkpointing, in a process of its own:
  bf16      weights, gradients and both moments bfloat16 (what torch.optim.AdamW makes of a bfloat16 model)
  autocast  weights, gradients and moments float32, products in bfloat16 (torch.autocast)

Attention is scaled_dot_product_attention without a mask (its flash kernel), the optimizer is fused, logits are made for the
response alone and widened to float32 for the log-probs, as trainers of RLHF do.
"""
import argparse
import json
import multiprocessing
import statistics
import subprocess
import time

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

WARM_UP = 3


def measure(args, mode, checkpointing):
    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(args.model)
    config.use_cache = False
    with torch.device("cuda"):
        model = AutoModelForCausalLM.from_config(
            config, dtype=torch.bfloat16 if mode == "bf16" else torch.float32, attn_implementation="sdpa"
        )
    model.train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-6, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01, fused=True
    )
    ids = torch.randint(0, config.vocab_size, (args.sequences, args.tokens), device="cuda")
    old_logprobs = -11.9 + 0.1 * torch.randn(args.sequences, args.response, device="cuda")
    advantages = torch.randn(args.sequences, args.response, device="cuda")

    def gradients():
        for first in range(0, args.sequences, args.micro_batch):
            rows = slice(first, first + args.micro_batch)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled=mode == "autocast"):
                logits = model(input_ids=ids[rows], logits_to_keep=args.response + 1).logits
            logprobs = torch.log_softmax(logits[:, :-1].float(), dim=-1)
            del logits
            targets = ids[rows, -args.response :]
            chosen = logprobs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
            entropy = -(logprobs.exp() * logprobs).sum(-1)
            del logprobs
            ratio = torch.exp(chosen - old_logprobs[rows])
            clipped = torch.clamp(ratio, 0.8, 1.2)
            policy = torch.maximum(-advantages[rows] * ratio, -advantages[rows] * clipped)
            loss = (policy - 0.01 * entropy).sum() / (args.sequences * args.response)
            loss.backward()

    def update():
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    gradient_ms, update_ms, total_ms = [], [], []
    for step in range(WARM_UP + args.steps):
        if step == WARM_UP:
            torch.cuda.reset_peak_memory_stats()
        torch.cuda.synchronize()
        start = time.perf_counter()
        gradients()
        torch.cuda.synchronize()
        middle = time.perf_counter()
        update()
        torch.cuda.synchronize()
        end = time.perf_counter()
        if step >= WARM_UP:
            gradient_ms.append(1e3 * (middle - start))
            update_ms.append(1e3 * (end - middle))
            total_ms.append(1e3 * (end - start))

    used = subprocess.check_output(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], text=True)
    line = {
        "name": "training step, PyTorch",
        "value": round(statistics.median(total_ms), 2),
        "unit": "ms",
        "min": round(min(total_ms), 2),
        "max": round(max(total_ms), 2),
        "gradientsMs": round(statistics.median(gradient_ms), 2),
        "updateMs": round(statistics.median(update_ms), 2),
        "model": args.model,
        "mode": mode,
        "checkpointing": checkpointing,
        "batch": f"{args.sequences} x {args.tokens}, {args.response} learned from, micro-batch {args.micro_batch}",
        "allocatedMiB": torch.cuda.max_memory_allocated() >> 20,
        "reservedMiB": torch.cuda.max_memory_reserved() >> 20,
        "deviceUsedMiB": int(used.strip()),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True)
    parser.add_argument("--modes", nargs="+", choices=["bf16", "autocast"], default=["bf16", "autocast"])
    parser.add_argument("--sequences", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--response", type=int, default=256)
    parser.add_argument("--micro-batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    given = parser.parse_args()
    # Forked before CUDA is touched: what was imported is imported once.
    for each in given.modes:
        for checkpoints in (False, True):
            child = multiprocessing.get_context("fork").Process(target=measure, args=(given, each, checkpoints))
            child.start()
            child.join()
