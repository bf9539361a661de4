"""A convolutional network by the training loop that comes with DeepSeek: gradient accumulation, bfloat16, a schedule,
averaged parameters, a checkpoint to go on from, and curves.

python examples/python/cnn_trainer.py [--epochs 2] [--plot curves.png] [--checkpoint state.ds]
"""

import argparse
import os

import deepseek as ds


def network() -> ds.nn.Module:
    nn = ds.nn
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 10),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--samples", type=int, default=60000, help="of the training set")
    parser.add_argument("--plot", help="where the curves go")
    parser.add_argument("--checkpoint", help="read if it is there, and written at the end")
    args = parser.parse_args()
    ds.manual_seed(0)
    model = network()
    optimizer = ds.optim.AdamW(model.parameters(), lr=2e-3)
    train = ds.data.Subset(ds.data.FashionMNIST(), range(args.samples))
    loader = ds.data.DataLoader(train, batch_size=32, shuffle=True, num_workers=1)
    updates = max(args.epochs * len(loader) // 4, 1)
    trainer = ds.Trainer(
        model, optimizer, ds.nn.CrossEntropyLoss(label_smoothing=0.05), gradient_accumulation_steps=4, precision=ds.bfloat16,
        scheduler=ds.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates), ema=ds.optim.EMA(model, 0.99),
        metrics={"accuracy": ds.utils.accuracy},
    )  # fmt: skip
    if args.checkpoint and os.path.exists(args.checkpoint):
        trainer.load_state_dict(ds.load(args.checkpoint))
    held = ds.data.DataLoader(ds.data.FashionMNIST(train=False), batch_size=500)
    history = trainer.fit(loader, args.epochs, held)
    with trainer.ema.average_parameters():
        print("averaged parameters:", trainer.evaluate(held))
    if args.plot:
        history.plot(path=args.plot)
    if args.checkpoint:
        ds.save(trainer.state_dict(), args.checkpoint)


if __name__ == "__main__":
    main()
