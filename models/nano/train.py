"""Train nano, headzip's embedded model, from nothing.

To rerun it you need one NVIDIA GPU with 80 GB (17.4 minutes of training on an H200), some 16 CPU cores that make the
training cases, Linux, Python 3.11 or later and `pip install torch safetensors tokenizers numpy pyarrow`:

    python corpus.py corpus                                # fetch the texts; no GPU; needs Debian's apt-get and pip
    python train.py --corpus corpus --out out              # tokenizer, then training at growing lengths
    python samples.py --corpus corpus --model out          # the two sample data sets; uses the tokenizer only
    python evaluate.py --corpus corpus --model out         # held-out scores, head scores, eviction

The order of the cases follows from --seed, --workers and the phases; how many of them are seen follows from the
time budget and the GPU, so two runs agree in kind, not to the bit.
"""
import argparse
import json
import os
import random
import time
from pathlib import Path

import evaluate
import network
import torch
import torch.nn.functional as F
from corpus import Corpus
from packing import pack
from prompts import Prompts, save_tokenizer, train_tokenizer
from tasks import Maker
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader, IterableDataset

PHASES = [(1024, 64, 0.15), (2048, 32, 0.15), (4096, 16, 0.2), (8192, 8, 0.5)]     # length, rows, share of the time
PEAK_RATE, WARM_UP, STEADY = 3e-3, 200, 0.4


class Rows(IterableDataset):
    """Batches of packed cases, without end."""

    def __init__(self, prompts, corpus, length, rows, seed):
        self.maker, self.length, self.rows, self.seed = Maker(prompts, corpus, False), length, rows, seed

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        rng = random.Random(f"{self.seed}/{self.length}/{worker.id if worker else 0}")
        while True:
            ids, weights = zip(*(pack(rng, self.maker, self.length) for _ in range(self.rows)))
            yield torch.tensor(ids), torch.tensor(weights)


def tokenizer_for(out, corpus, seed):
    """The folder's tokenizer; trained if there is none."""
    if not (out / "tokenizer.json").exists():
        import facts
        import lookups
        rng = random.Random(seed)
        made = ["\n".join(s for group in facts.people(rng, 20, False, True) for s, _ in group) for _ in range(150)]
        made += ["\n".join(s for s, _ in lookups.table(rng, 40)) for _ in range(60)]
        made += ["\n".join(s for s, _ in lookups.needles(rng, 30, False)) for _ in range(60)]
        save_tokenizer(train_tokenizer(corpus, made, seed), out)
    return Prompts(out)


def rate_at(done, step, peak):
    """Warm up, hold, then fall in a straight line to nothing; `done` is the share of the time spent."""
    fall = 1.0 if done < STEADY else (1 - done) / (1 - STEADY)
    return peak * min(1.0, (step + 1) / WARM_UP) * fall


def make_step(model, optimizer, device):
    def loss_of(inputs, targets, weights):
        with torch.autocast(device, torch.bfloat16):
            logits = model(inputs)
        each = F.cross_entropy(logits.float().flatten(0, 1), targets.flatten(), reduction="none")
        return (each * weights.flatten()).sum() / weights.sum()

    compiled = torch.compile(loss_of, dynamic=False) if device == "cuda" else loss_of

    kernel = SDPBackend.CUDNN_ATTENTION if device == "cuda" else SDPBackend.MATH

    def step(ids, weights, rate):
        for group in optimizer.param_groups:
            group["lr"] = rate
        with sdpa_kernel(kernel):
            loss = compiled(ids[:, :-1].contiguous(), ids[:, 1:].contiguous(), weights[:, 1:].contiguous())
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss
    return step


def train(model, prompts, corpus, held_out, args):
    device = args.device
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
                                  lr=1.0, betas=(0.9, 0.95), fused=device == "cuda")
    step, started, steps, share = make_step(model, optimizer, device), time.time(), 0, 0.0
    for length, rows, part in PHASES:
        data = Rows(prompts, corpus, length, max(1, rows // args.shrink), args.seed)
        batches = iter(DataLoader(data, batch_size=None, num_workers=args.workers, pin_memory=device == "cuda",
                                  prefetch_factor=6 if args.workers else None))
        share += part
        phase_steps, phase_start = 0, time.time()
        while time.time() - started < args.seconds * share:
            ids, weights = (t.to(device, non_blocking=True) for t in next(batches))
            done = min(1.0, (time.time() - started) / args.seconds)
            loss = step(ids, weights, rate_at(done, steps, args.rate))
            steps += 1
            phase_steps += 1
            if steps % 200 == 0:
                pace = (time.time() - phase_start) / phase_steps
                print(f"step {steps}  length {length}  loss {loss.item():.3f}  {pace * 1e3:.0f} ms/step  "
                      f"{time.time() - started:.0f} s", flush=True)
        del batches
        network.save(model, args.out)
        if args.quick:
            saved = network.load(args.out, device)
            quick = evaluate.held_out_scores(saved, held_out, [min(length, 8100) - 60], args.quick)
            print(f"after length {length}: {steps} steps", json.dumps(quick), flush=True)
    return steps, time.time() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True, help="folder that corpus.py wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for tokenizer, config and weights")
    parser.add_argument("--seconds", type=float, default=1045, help="time budget of the training loop (default 1045)")
    parser.add_argument("--rate", type=float, default=PEAK_RATE, help="peak learning rate (default 3e-3)")
    parser.add_argument("--quick", type=int, default=0, help="held-out cases of a kind after each phase (default 0)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes making cases")
    parser.add_argument("--shrink", type=int, default=1, help="divide the rows of a batch, for a trial run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--tokenizer-only", action="store_true", help="stop after the tokenizer")
    args = parser.parse_args()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(args.corpus, held_out=False)
    prompts = tokenizer_for(args.out, corpus, args.seed)
    if args.tokenizer_only:
        return
    model = network.Nano().to(args.device).train()
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters", flush=True)
    steps, seconds = train(model, prompts, corpus, Maker(prompts, Corpus(args.corpus, held_out=True), True), args)
    print(f"{steps} steps in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
