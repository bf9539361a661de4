"""Several processes of one script: collectives by their values, and data parallelism against one process."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import deepseek as ds

COLLECTIVES = """
    import json, sys
    import numpy as np
    import deepseek as ds
    from deepseek import distributed as dist

    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    dist.init_process_group("file://" + folder, rank, size)
    out = {}
    for dtype in (ds.float32, ds.float64, ds.bfloat16, ds.int64):
        x = ds.tensor([1.0 + rank, 2.0, -3.0 * rank]).to(dtype)
        out[f"sum {dtype}"] = dist.all_reduce(x).to(ds.float64).tolist()
        assert x.to(ds.float64).tolist() == out[f"sum {dtype}"]  # in place
    out["mean"] = dist.all_reduce(ds.tensor([float(rank)]), "mean").tolist()
    out["max"] = dist.all_reduce(ds.tensor([float(rank)]), "max").tolist()
    out["broadcast"] = dist.broadcast(ds.tensor([rank, 7]), size - 1).tolist()
    out["gather"] = [t.tolist() for t in dist.all_gather(ds.tensor([rank, rank * 2]))]
    out["scatter"] = dist.reduce_scatter(ds.arange(2 * size).to(ds.float32)).tolist()
    if rank == 0:
        dist.send(ds.tensor([5.5, 6.5]), 1, tag=3)
    if rank == 1:
        out["received"] = dist.recv(ds.zeros(2), 0, tag=3).tolist()
    dist.barrier()
    out["world"] = [dist.get_rank(), dist.get_world_size()]
    print(json.dumps(out))
    dist.destroy_process_group()
"""

# Two models of which only one takes part in each backward pass, accumulation under no_sync, and another mode of training.
TRAINING = """
    import json, sys
    import numpy as np
    import deepseek as ds
    from deepseek import distributed as dist
    from deepseek.parallel import DistributedModel

    rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    dist.init_process_group("file://" + folder, rank, size)
    ds.manual_seed(100 + rank)  # different weights: rank 0's count
    def network():
        return ds.nn.Sequential(ds.nn.Linear(6, 16), ds.nn.Tanh(), ds.nn.Linear(16, 3))
    ds.manual_seed(100 + rank)
    first, second = (DistributedModel(network()) for _ in range(2))
    optimizers = [ds.optim.AdamW(m.parameters(), lr=0.01) for m in (first, second)]
    rng = np.random.default_rng(0)
    losses = []
    for step in range(12):
        x, y = rng.standard_normal((16, 6)).astype(np.float32), rng.integers(0, 3, 16)
        per = 16 // size
        mine = slice(rank * per, (rank + 1) * per)
        xs, ys = ds.from_numpy(x[mine].copy()), ds.from_numpy(y[mine].copy())
        model, optimizer = ((first, optimizers[0]), (second, optimizers[1]))[step % 2]
        half = per // 2
        with model.no_sync():
            (ds.functional.cross_entropy(model(xs[:half]), ys[:half]) / 2).backward()
        loss = ds.functional.cross_entropy(model(xs[half:]), ys[half:]) / 2
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(dist.all_reduce(loss.detach(), "mean").item())
    print(json.dumps({"losses": losses, "names": list(first.state_dict()),
                      "weights": [p.detach().numpy().tolist() for m in (first, second) for p in m.parameters()]}))
"""


def run(script: str, size: int, folder, seconds: float = 60) -> list[dict]:
    command = [sys.executable, "-c", textwrap.dedent(script)]
    started = [
        subprocess.Popen([*command, str(r), str(size), str(folder)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for r in range(size)
    ]
    results = []
    try:
        for process in started:
            out, error = process.communicate(timeout=seconds)
            assert process.returncode == 0, error
            results.append(json.loads(next(line for line in out.splitlines() if line.startswith("{"))))  # UCX may print, too
    finally:
        for process in started:
            process.kill()
    return results


@pytest.mark.parametrize("size", [2, 3])
def test_collectives_give_every_rank_what_their_names_say(size, tmp_path):
    results = run(COLLECTIVES, size, tmp_path / "meet")
    for rank, out in enumerate(results):
        expected = [size + sum(range(size)), 2.0 * size, -3.0 * sum(range(size))]
        for dtype in ("float32", "float64", "bfloat16", "int64"):
            assert [v for k, v in out.items() if k.startswith("sum") and dtype in k] == [expected]
        assert out["mean"] == [sum(range(size)) / size]
        assert out["max"] == [size - 1.0]
        assert out["broadcast"] == [size - 1, 7]
        assert out["gather"] == [[r, 2 * r] for r in range(size)]
        assert out["scatter"] == [2.0 * rank * size, (2.0 * rank + 1) * size]
        assert out["world"] == [rank, size]
    assert results[1]["received"] == [5.5, 6.5]


def test_data_parallel_training_is_that_of_one_process(tmp_path):
    one = run(TRAINING, 1, tmp_path / "one")[0]
    two = run(TRAINING, 2, tmp_path / "two")
    assert two[0] == two[1]  # to the bit
    assert one["names"] == two[0]["names"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    for a, b in zip(one["weights"], two[0]["weights"]):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_a_missing_rank_is_named(tmp_path):
    with pytest.raises(ds.Error, match=r"rank 1 of 2 did not come"):
        ds.distributed.init_process_group(f"file://{tmp_path}", 0, 2, timeout=0.2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("tcp://host:1", 0, 2), "not file:///FOLDER"), (("file:///x", 2, 2), "rank 2 is outside of a world of 2"), ((None, 0, 2), "need an init_method")],
)
def test_wrong_ways_to_meet_are_refused(arguments, message):
    with pytest.raises(ds.Error, match=message):
        ds.distributed.init_process_group(*arguments)


def test_without_a_group_collectives_say_so_and_the_world_is_one():
    assert (ds.distributed.get_rank(), ds.distributed.get_world_size()) == (0, 1)
    with pytest.raises(ds.Error, match="init_process_group"):
        ds.distributed.all_reduce(ds.ones(2))


def test_a_job_outside_of_the_cluster_is_silent():
    from deepseek import job

    assert not job.active() and job.folder() is None and job.load_checkpoint() is None
    job.report(1, loss=0.5)
    job.save_checkpoint(1, x=ds.ones(2))
    assert job.should_stop() is False


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, monkeypatch):
    from deepseek import job

    monkeypatch.setenv("DS_JOB_DIR", str(tmp_path))
    for step in (10, 20, 30):
        job.save_checkpoint(step, weight=ds.full((3,), float(step)))
    files = sorted((tmp_path / "checkpoints").iterdir())
    assert [f.name for f in files] == ["step-000000000020.ds", "step-000000000030.ds"]  # the newest two, nothing half
    assert job.load_checkpoint()["weight"].tolist() == [30.0] * 3
    whole = files[1].read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(np.float32(30).tobytes())] ^= 1
    for damaged in (whole[: len(whole) // 2], bytes(flipped), b""):
        files[1].write_bytes(damaged)
        state = job.load_checkpoint()
        assert (state["step"], state["weight"].tolist()) == (20, [20.0] * 3)
