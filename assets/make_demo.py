"""Makes assets/demo: the small language model that a first start of Tideline generates with.

A 2.6-million-parameter Llama (bf16, 5 MB) and a byte-level BPE tokenizer, trained on stories that this file writes
itself from a seeded grammar, so that the checkpoint has no licence but Tideline's. The stories repeat their names and
things over several sentences: the model has to look back to write them, which makes its KV cache do real work.

    python assets/make_demo.py --out assets/demo            # needs torch, transformers, tokenizers; minutes on a GPU

Reproducible from --seed on one kind of machine (floating point differs between kinds).
"""

import argparse
import json
import math
import random
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

NAMES = "Ada Bruno Clara Dov Edith Farid Greta Hugo Ines Jonas Kaya Lena Milo Nora Otis Priya Quinn Rosa Sven Tara".split()
JOBS = ["lighthouse keeper", "young sailor", "harbour pilot", "net mender", "old fisher", "map maker", "boat builder", "ferry captain"]
PLACES = ["the harbour", "the long pier", "the lighthouse", "a quiet bay", "the sea wall", "the fish market", "a small island", "the boat yard"]
THINGS = ["lantern", "blue rope", "silver key", "paper map", "wooden box", "brass bell", "green bottle", "torn sail", "little boat", "heavy anchor"]
ANIMALS = ["gull", "seal", "crab", "otter", "heron", "small dog", "grey cat"]
WEATHER = ["The tide was low", "The tide was coming in", "The tide had turned", "Fog lay on the water", "The wind was rising", "The sea was calm", "Rain fell all morning", "The moon stood over the bay"]
MOODS = ["happy", "tired", "curious", "worried", "proud", "patient", "surprised"]


def story(r: random.Random) -> str:
    name, friend = r.sample(NAMES, 2)
    job, place, other_place = r.choice(JOBS), *r.sample(PLACES, 2)
    thing, animal, mood = r.choice(THINGS), r.choice(ANIMALS), r.choice(MOODS)
    they, their = r.choice([("she", "her"), ("he", "his")])
    They = they.capitalize()
    opening = r.choice([
        f"Once upon a time there was a {job} named {name}.",
        f"{name} was a {job} who lived near {place}.",
        f"Every morning {name}, the {job}, walked to {place}.",
    ])
    found = r.choice([
        f"One day {they} found a {thing} at {place}.",
        f"At {place} {they} saw a {thing} lying in the sand.",
        f"A {animal} had left a {thing} at {place}, and {name} picked it up.",
    ])
    middle = [
        f"{They} did not know whose {thing} it was.",
        f"{They} put the {thing} into {their} bag and felt {mood}.",
        f'"Is this your {thing}?" {they} asked the {animal}, but the {animal} said nothing.',
        f"{r.choice(WEATHER)}, and {name} was {mood}.",
        f"{name} counted the waves: {', '.join(str(n) for n in range(1, r.randint(4, 7)))}.",
        f"The {animal} followed {name} along the shore.",
    ]
    r.shuffle(middle)
    meeting = r.choice([
        f"Then {name} met {friend} at {other_place}.",
        f"Later {friend} came by and saw the {thing}.",
        f"So {name} took the {thing} to {friend}, who was waiting at {other_place}.",
    ])
    speech = r.choice([
        f'"That is my {thing}!" said {friend}. "I lost it when the tide came in."',
        f'"Give back what you do not use," said {friend}, "and the harbour has room for everyone."',
        f'"Thank you, {name}," said {friend}. "Without the {thing} I could not sail."',
    ])
    ending = r.choice([
        f"{name} gave the {thing} back to {friend}, and both were happy.",
        f"They shared the {thing} from that day on.",
        f"{friend} smiled, took the {thing}, and they watched the tide go out together.",
        f"And when the tide came in again, the {thing} was where it belonged.",
    ])
    first = r.choice(WEATHER)
    return " ".join([f"{first}." if r.random() < 0.4 else "", opening, found, *middle[: r.randint(2, 4)], meeting, speech, ending]).strip()


def train_tokenizer(texts: list[str], vocab: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=vocab,
            special_tokens=["<pad>", "<bos>", "<eos>"],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        ),
    )
    return tokenizer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=2583)
    parser.add_argument("--stories", type=int, default=60_000)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=128)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"

    r = random.Random(arguments.seed)
    texts = [story(r) for _ in range(arguments.stories)]
    tokenizer = train_tokenizer(texts[:10_000], vocab=1024)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<bos>", eos_token="<eos>", pad_token="<pad>")
    stream = []
    for encoding in tokenizer.encode_batch(texts):
        stream += [1, *encoding.ids, 2]
    data = torch.tensor(stream, dtype=torch.long)
    length = 256
    print(f"{len(texts)} stories, {len(data)} tokens")

    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=192, intermediate_size=512, num_hidden_layers=6,
        num_attention_heads=6, num_key_value_heads=2, head_dim=32, max_position_embeddings=2048, rope_theta=10000.0,
        rms_norm_eps=1e-5, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )
    model = LlamaForCausalLM(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.95), weight_decay=0.05)
    warmup = 100
    for step in range(arguments.steps):
        progress = step / arguments.steps
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1.0, (step + 1) / warmup) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * progress)))
        starts = torch.randint(0, len(data) - length - 1, (arguments.batch,))
        batch = torch.stack([data[s : s + length] for s in starts]).to(device)
        with torch.autocast(device, dtype=torch.bfloat16):
            loss = model(input_ids=batch, labels=batch).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 250 == 0 or step == arguments.steps - 1:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)

    arguments.out.mkdir(parents=True, exist_ok=True)
    model.to(torch.bfloat16).save_pretrained(arguments.out)
    fast.save_pretrained(arguments.out)
    (arguments.out / "generation_config.json").unlink(missing_ok=True)
    made = {"script": "assets/make_demo.py", "seed": arguments.seed, "steps": arguments.steps, "final_loss": round(loss.item(), 4)}
    (arguments.out / "made.json").write_text(json.dumps(made, indent=2) + "\n")
    for prompt in ["Once upon a time", "The tide was low."]:
        ids = fast(prompt, return_tensors="pt").input_ids.to(device)
        ids = torch.cat([torch.tensor([[1]], device=device), ids], dim=1)
        print(fast.decode(model.generate(ids, max_new_tokens=120, do_sample=False)[0]))


if __name__ == "__main__":
    main()
