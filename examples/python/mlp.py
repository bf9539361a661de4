"""A small network on Fashion-MNIST, with a loop written out.

python examples/python/mlp.py [--epochs 2]
"""

import argparse

import deepseek as ds


class SimpleNN(ds.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1 = ds.nn.Linear(784, 256)
        self.fc2 = ds.nn.Linear(256, 10)

    def forward(self, x: ds.Tensor) -> ds.Tensor:
        x = ds.functional.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=2)
    args = parser.parse_args()
    ds.manual_seed(0)
    model = SimpleNN()
    optimizer = ds.optim.AdamW(model.parameters(), lr=1e-3)
    loader = ds.data.DataLoader(ds.data.FashionMNIST(), batch_size=64, shuffle=True, num_workers=1)
    for epoch in range(args.epochs):
        bar = ds.utils.Progress(loader, f"epoch {epoch + 1}")
        for images, labels in bar:
            optimizer.zero_grad()
            loss = ds.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            bar.set(loss=loss.item())
    correct = 0
    test = ds.data.FashionMNIST(train=False)
    with ds.no_grad():
        for images, labels in ds.data.DataLoader(test, batch_size=1000):
            correct += int((model(images).argmax(1) == labels).sum())
    print(f"accuracy {correct / len(test):.4f}")


if __name__ == "__main__":
    main()
