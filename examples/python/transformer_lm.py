"""A small language model of characters: a causal transformer trained on a text, which then writes some more.

python examples/python/transformer_lm.py [--text FILE] [--steps 300]
"""

import argparse
import math

import deepseek as ds

TEXT = "the quick brown fox jumps over the lazy dog. " * 60


class LanguageModel(ds.nn.Module):
    def __init__(self, vocabulary: int, width: int = 64, heads: int = 4, layers: int = 2, context: int = 48) -> None:
        super().__init__()
        self.context = context
        self.tokens = ds.nn.Embedding(vocabulary, width)
        self.places = ds.nn.Embedding(context, width)
        block = ds.nn.TransformerEncoderLayer(width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = ds.nn.TransformerEncoder(block, layers, ds.nn.LayerNorm(width))
        self.head = ds.nn.Linear(width, vocabulary, bias=False)

    def forward(self, index: ds.Tensor) -> ds.Tensor:
        """index (batch, length) -> logits (batch, length, vocabulary)."""
        x = self.tokens(index) + self.places(ds.arange(index.shape[1]))
        return self.head(self.blocks(x, is_causal=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text")
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    text = open(args.text, encoding="utf-8").read() if args.text else TEXT
    letters = sorted(set(text))
    data = ds.tensor([letters.index(c) for c in text])
    ds.manual_seed(0)
    model = LanguageModel(len(letters))
    optimizer = ds.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = ds.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=args.steps + 1, cycle_momentum=False)
    offsets = ds.arange(model.context + 1)
    bar = ds.utils.Progress(range(args.steps), "train")
    for _ in bar:
        start = ds.randint(0, len(data) - model.context - 1, (16, 1))
        window = data[start + offsets]
        logits = model(window[:, :-1])
        loss = ds.functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        ds.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        bar.set(loss=loss.item(), perplexity=math.exp(min(loss.item(), 20)))
    written = [letters.index(text[0])]
    with ds.no_grad():
        for _ in range(80):
            logits = model(ds.tensor([written[-model.context :]]))
            written.append(int(logits[0, -1].argmax(0)))
    print("".join(letters[i] for i in written))


if __name__ == "__main__":
    main()
