import io
import re
import sys

import numpy as np
import pytest

from sgan_sklearn._runtime import progress
from sgan_sklearn._runtime.progress import clock

TIME = r"\d+:\d\d"


def fit_and_read(make_classifier, data, capsys, **params):
    """Return the lines that a fit prints."""
    classifier = make_classifier(**params).fit(*data)
    captured = capsys.readouterr()
    assert captured.err == ""
    return classifier, captured.out.splitlines()


def epochs_of(lines):
    return [line.split()[0] for line in lines]


def test_silent_by_default(make_classifier, data, capsys):
    assert fit_and_read(make_classifier, data, capsys)[1] == []


@pytest.mark.parametrize(("verbose", "max_epochs"), [(1, 20), (1, 21), (1, 100), (True, 101)])
def test_verbose_prints_a_header_and_about_20_lines(
    verbose, max_epochs, make_classifier, data, capsys
):
    _, (_, header, *lines) = fit_and_read(
        make_classifier, data, capsys, verbose=verbose, max_epochs=max_epochs
    )
    names = header.split()
    assert names[0] == "epoch"
    assert names[-2:] == ["passed", "left"]
    assert 10 <= len(lines) <= 22
    epochs = epochs_of(lines)
    assert epochs[0] == f"1/{max_epochs}"
    assert epochs[-1] == f"{max_epochs}/{max_epochs}"
    for line in lines:
        assert len(line.split()) == len(names)
        assert re.fullmatch(TIME, line.split()[-1])
    assert lines[-1].split()[-1] == "0:00"


def test_table_shows_the_recorded_losses(make_classifier, data, capsys):
    classifier, (_, header, *lines) = fit_and_read(
        make_classifier, data, capsys, verbose=2, max_epochs=2
    )
    names = header.split()
    assert {"discriminator", "generator", "supervised"} <= set(names)
    last = dict(zip(names, lines[-1].split(), strict=True))
    record = classifier.history_[-1]
    for column, term in [("discriminator", "discriminator_loss"), ("supervised", "supervised")]:
        assert float(last[column]) == pytest.approx(record[term], abs=1e-4)


def test_columns_are_aligned(make_classifier, data, capsys):
    _, (_, *lines) = fit_and_read(make_classifier, data, capsys, verbose=2, max_epochs=12)
    assert len({len(line) for line in lines}) == 1


def test_very_verbose_prints_every_epoch(make_classifier, data, capsys):
    _, (_, _, *lines) = fit_and_read(make_classifier, data, capsys, verbose=2, max_epochs=45)
    assert epochs_of(lines) == [f"{i}/45" for i in range(1, 46)]


def test_warm_start_counts_its_own_epochs(make_classifier, data, capsys):
    classifier, _ = fit_and_read(make_classifier, data, capsys, verbose=2, warm_start=True)
    classifier.fit(*data)
    _, header, *lines = capsys.readouterr().out.splitlines()
    assert header.split()[0] == "epoch"
    assert epochs_of(lines) == ["1/3", "2/3", "3/3"]


@pytest.mark.parametrize(
    ("y", "unlabeled_value", "line"),
    [
        ([0, 1, 2, -1], -1, "3 labeled rows, 1 unlabeled row, 3 classes"),
        ([0, -1, -1, -1], -1, "1 labeled row, 3 unlabeled rows, 1 class"),
        ([0, 1, 1, 0], None, "4 labeled rows, 0 unlabeled rows, 2 classes"),
        (["a", None, "b", None], float("nan"), "2 labeled rows, 2 unlabeled rows, 2 classes"),
    ],
)
def test_first_line_contains_the_numbers_of_rows_and_classes(
    make_classifier, capsys, y, unlabeled_value, line
):
    X = np.arange(8.0).reshape(4, 2)
    params = {"verbose": 1, "unlabeled_value": unlabeled_value}
    _, lines = fit_and_read(make_classifier, (X, y), capsys, **params)
    assert lines[0] == line
    assert lines[1].split()[0] == "epoch"


def test_each_part_prints_its_number_of_rows(make_classifier, data, capsys):
    X, y = data
    classifier = make_classifier(verbose=1).partial_fit(X[:7], y[:7], classes=[0, 1, 2])
    classifier.partial_fit(X[:1], [-1])
    first, second = [line for line in capsys.readouterr().out.splitlines() if "labeled" in line]
    assert first == "4 labeled rows, 3 unlabeled rows, 3 classes"
    assert second == "0 labeled rows, 1 unlabeled row, 3 classes"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (59.4, "0:59"),
        (59.6, "1:00"),
        (61, "1:01"),
        (3599.9, "1:00:00"),
        (3661, "1:01:01"),
        (36_000, "10:00:00"),
    ],
    ids=str,
)
def testclock(seconds, text):
    assert clock(seconds) == text


def test_closed_standard_output_does_not_end_the_training(make_classifier, data, monkeypatch):
    quiet = make_classifier().fit(*data)
    for stream in (io.StringIO(), None):
        if stream is not None:
            stream.close()
        monkeypatch.setattr(sys, "stdout", stream)
        classifier = make_classifier(verbose=2).fit(*data)
        np.testing.assert_array_equal(
            classifier.predict_proba(data[0]), quiet.predict_proba(data[0])
        )


def test_long_training_is_announced(make_classifier, data, capsys, monkeypatch):
    X, y = (np.concatenate([part] * 4) for part in data)
    params = {"verbose": 1, "batch_size": 8, "max_epochs": 2}
    n_steps = 2 * -(-len(X) // 8)
    assert n_steps / 2 >= progress.N_TIMED
    _, (_, header, *_) = fit_and_read(make_classifier, (X, y), capsys, **params)
    assert header.split()[0] == "epoch"
    monkeypatch.setattr(progress, "MIN_SECONDS", 0)
    _, (_, line, header, *_) = fit_and_read(make_classifier, (X, y), capsys, **params)
    assert re.fullmatch(rf"up to {n_steps} steps of about [\d.]+ ms: {TIME}", line)
    assert header.split()[0] == "epoch"
