"""A free-form training loop that the cluster runs as one process a rank:

    dsctl job submit examples/script/job.yaml --wait
    dsctl tune submit examples/script/study.yaml --wait     # tunes --lr, --width and --dropout over the workers

Alone it runs as it is: python examples/script/train.py --epochs 1
"""

import argparse

import deepseek as ds
from deepseek import distributed, job


class SimpleNN(ds.nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = ds.nn.Linear(784, width)
        self.dropout = ds.nn.Dropout(dropout)
        self.fc2 = ds.nn.Linear(width, 10)

    def forward(self, x: ds.Tensor) -> ds.Tensor:
        x = ds.functional.relu(self.fc1(x.flatten(1)))
        return self.fc2(self.dropout(x))


def accuracy(model: ds.nn.Module) -> float:
    test = ds.data.FashionMNIST(train=False)
    model.eval()
    with ds.no_grad():
        batches = ds.data.DataLoader(test, batch_size=1000)
        return sum(int((model(x).argmax(1) == y).sum()) for x, y in batches) / len(test)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128, help="over all ranks")
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    distributed.init_process_group()
    ds.manual_seed(args.seed)
    model = ds.parallel.DistributedModel(SimpleNN(args.width, args.dropout))
    optimizer = ds.optim.AdamW(model.parameters(), lr=args.lr)
    data = ds.data.FashionMNIST()
    sampler = ds.data.DistributedSampler(data, drop_last=True)
    loader = ds.data.DataLoader(data, batch_size=args.batch_size // distributed.get_world_size(), sampler=sampler, drop_last=True)
    total = args.epochs * len(loader)

    step = 0
    if state := job.load_checkpoint():  # an earlier start of this job wrote it
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        step = state["step"]
    for epoch in range(step // len(loader), args.epochs):
        sampler.set_epoch(epoch)
        model.train()
        for i, (images, labels) in enumerate(loader):
            if epoch * len(loader) + i < step:
                continue  # done before the restart
            optimizer.zero_grad()
            loss = ds.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            step += 1
            job.report(step, loss=loss.item(), epoch=epoch, total_steps=total, samples=args.batch_size)
            if i + 1 == len(loader):  # before a stop: what goes on from its checkpoint begins the next epoch
                job.report(step, epoch=epoch, test_accuracy=accuracy(model))
            stop = job.should_stop()
            if stop or step % 100 == 0:
                job.save_checkpoint(step, model=model.state_dict(), optimizer=optimizer.state_dict())
            if stop:
                job.stop()
    job.save_checkpoint(step, model=model.state_dict(), optimizer=optimizer.state_dict())
    print(f"accuracy {accuracy(model):.4f}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
