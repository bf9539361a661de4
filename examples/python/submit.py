"""A model of one's own, trained by the cluster's workers, which need no Python: start one by `dsctl cluster up` first.

python examples/python/submit.py [--ranks 2]
"""

import argparse

import deepseek as ds


class ConvNet(ds.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = ds.nn.Conv2d(1, 16, 3, padding=1)
        self.norm = ds.nn.BatchNorm2d(16)
        self.drop = ds.nn.Dropout(0.2)
        self.out = ds.nn.Linear(16 * 14 * 14, 10)

    def forward(self, x: ds.Tensor) -> ds.Tensor:
        x = ds.functional.relu(self.norm(self.conv(x)))
        x = ds.functional.max_pool2d(x, 2)
        return self.out(self.drop(x.flatten(1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    args = parser.parse_args()
    ds.manual_seed(0)
    model = ConvNet()
    optimizer = ds.optim.AdamW(model.parameters(), lr=1e-3)
    job = ds.client.submit(model, data="fashion_mnist", strategy=args.ranks, optimizer=optimizer, epochs=2, batch_size=128)
    job.wait()  # a bar with step and loss
    job.load_into(model.eval())
    test = ds.data.FashionMNIST(train=False, normalize=True)
    with ds.no_grad():
        batches = ds.data.DataLoader(test, batch_size=1000)
        correct = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
    print(f"accuracy here, with the weights of {job.id}: {correct / len(test):.4f}")


if __name__ == "__main__":
    main()
