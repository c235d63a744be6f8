"""The benchmark that kills runs: when it kills, what it compares and what it counts."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sgan_sklearn import load, save
from sgan_sklearn.architectures import MLPArchitecture


@pytest.fixture
def kills(benchmark, monkeypatch):
    kills = benchmark("kill_and_resume")
    monkeypatch.setattr(kills, "N_ROWS", 200)
    small = {"architecture": MLPArchitecture((8,), (8,)), "max_epochs": 3}
    monkeypatch.setitem(kills.KINDS, "table", small)
    return kills


def test_a_training_prints_its_complete_epochs(kills, tmp_path, capsys):
    kills.train("table", tmp_path)
    assert capsys.readouterr().out.split() == ["0", "1", "2", "3", "3"]
    (last,) = tmp_path.glob("*-epoch000003.safetensors")
    last.unlink()
    kills.train("table", tmp_path)
    assert capsys.readouterr().out.split() == ["2", "3", "3"]


def test_models_are_equal_only_if_all_numbers_are_equal(kills, tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
        kills.train("table", tmp_path / name)
    a, b = (tmp_path / name / "model.sgan" for name in "ab")
    X = kills.digits("table")[0]
    assert kills.are_same(a, b, X)
    model = load(b)
    with torch.no_grad():
        next(model.net_.averaged_generator_.parameters()).flatten()[0] += 1e-6
    save(model, b)
    assert not kills.are_same(a, b, X)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.floats(1e-3, 10), min_size=2, max_size=20),
    begin=st.floats(0, 1e6),
    seed=st.integers(0, 2**32 - 1),
)
def test_kills_come_within_the_training_in_order(kills, steps, begin, seed):
    seconds = np.cumsum([begin, *steps]).tolist()
    found = kills.moments(seconds, np.random.RandomState(seed))
    assert 1 <= len(found) <= kills.MAX_KILLS
    for epoch, delay in found:
        assert 0 <= epoch < len(steps)
        assert 0 <= delay <= seconds[epoch + 1] - seconds[epoch]
    times = [seconds[epoch] + delay for epoch, delay in found]
    assert times == sorted(times)


def test_training_is_killed_and_resumed(kills, tmp_path, monkeypatch):
    script = (
        "import time\n"
        "from pathlib import Path\n"
        "left = Path('left')\n"
        "for epoch in range(int(left.read_text()) if left.exists() else 0, 4):\n"
        "    left.write_text(str(epoch))\n"
        "    print(epoch, flush=True)\n"
        "    time.sleep(0 if epoch < 2 else 60)\n"
    )

    def start(kind, folder):
        command = [sys.executable, "-c", script]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)

    monkeypatch.setattr(kills, "start", start)
    assert kills.kill("table", tmp_path, 2, 0.0) == (0, True)
    assert kills.kill("table", tmp_path, 2, 0.1) == (2, True)
    (tmp_path / "left").write_text("4")
    with pytest.raises(RuntimeError, match="'table' failed"):
        kills.kill("table", tmp_path, 2, 0.0)


def test_training_is_killed_while_writing_a_checkpoint(kills, tmp_path, monkeypatch):
    script = (
        "import time\n"
        "from pathlib import Path\n"
        "print(0, flush=True)\n"
        "time.sleep(0.3)\n"
        "Path('b.tmp').touch()\n"
        "time.sleep(60)\n"
    )

    def start(kind, folder):
        command = [sys.executable, "-c", script]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)

    monkeypatch.setattr(kills, "start", start)
    (tmp_path / "a.tmp").touch()  # of an earlier kill
    assert kills.kill(kills.WHILE_WRITING, tmp_path, 0, 0.0) == (0, True)
    assert kills.half_written(tmp_path) == {"a.tmp", "b.tmp"}


def test_resumes_from_the_middle_are_counted(kills):
    def cell(kind, resumed_from, is_same):
        killed_after = [[epoch, 0.1] for epoch in resumed_from]
        figures = {"killed_after": killed_after, "resumed_from": resumed_from, "is_same": is_same}
        return {"key": {"kind": kind}, "n_epochs": 3, **figures}

    cells = [cell("table", [0, 1, 2], True), cell("table", [3], False), cell("images", [0], True)]
    rows = [line.split("|")[1:-1] for line in kills.summarize(cells).splitlines()[2:]]
    assert [[part.strip() for part in row] for row in rows] == [
        ["table", "2", "4", "2", "1 of 2"],
        ["images", "1", "1", "0", "1 of 1"],
    ]
