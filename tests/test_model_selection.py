import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    StratifiedShuffleSplit,
    cross_validate,
    learning_curve,
)
from sklearn.model_selection import cross_val_score as score_folds
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from sgan_sklearn import SGANClassifier
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels

TEXT = np.array(["cat", "dog", "emu"])


def folds_of(splitter, y, X=None, groups=None):
    X = np.zeros((len(y), 1)) if X is None else X
    return list(splitter.split(X, y, groups))


# --- mask_labels ------------------------------------------------------------------------------


@pytest.fixture
def y():
    return np.repeat([0, 1, 2], [70, 20, 10])


def kept(masked):
    return np.unique(masked[masked != -1], return_counts=True)


@pytest.mark.parametrize(
    ("params", "counts"),
    [
        ({"per_class": 4}, [4, 4, 4]),
        ({"n_labeled": 20}, [14, 4, 2]),
        ({"n_labeled": 5}, [3, 1, 1]),
        ({"n_labeled": 3}, [1, 1, 1]),
        ({"n_labeled": 100}, [70, 20, 10]),
        ({"fraction": 0.1}, [7, 2, 1]),
        ({"fraction": 1}, [70, 20, 10]),
    ],
)
def test_numbers_of_labels_that_are_kept(y, params, counts):
    masked = mask_labels(y, random_state=0, **params)
    np.testing.assert_array_equal(kept(masked), [[0, 1, 2], counts])
    np.testing.assert_array_equal(masked[masked != -1], y[masked != -1])


def test_random_labels_include_each_class(y):
    counts = [
        kept(mask_labels(y, n_labeled=10, stratify=False, random_state=seed))[1]
        for seed in range(50)
    ]
    assert {sum(one) for one in counts} == {10}
    assert all(len(one) == 3 for one in counts)
    assert len({tuple(one) for one in counts}) > 3
    # One of each, and seven by chance of 69, 19 and 9.
    np.testing.assert_allclose(np.mean(counts, axis=0), [5.98, 2.37, 1.65], atol=0.5)


def test_masking_leaves_the_original_and_follows_the_seed(y):
    before = y.copy()
    one, same, other = (mask_labels(y, per_class=3, random_state=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(y, before)
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)


def test_unlabeled_rows_stay_unlabeled(y):
    once = mask_labels(y, n_labeled=30, random_state=0)
    twice = mask_labels(once, n_labeled=12, random_state=0)
    assert (twice[once == -1] == -1).all()
    assert (twice != -1).sum() == 12


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int8", "int8"), ("uint8", "int64"), ("bool", "int64"), ("float32", "float32")],
)
def test_dtype_of_masked_numbers(dtype, expected):
    y = np.array([0, 1, 0, 1], dtype=dtype)
    masked = mask_labels(y, per_class=1, random_state=0)
    assert masked.dtype == expected
    assert sorted(masked) == [-1, -1, 0, 1]


@pytest.mark.parametrize("convert", [np.asarray, list, pd.Series, lambda y: y.astype(object)])
def test_text_becomes_objects_that_the_classifier_takes(convert):
    y = np.repeat(TEXT, 4)
    masked = mask_labels(convert(y), per_class=2, random_state=0)
    assert masked.dtype == object
    assert (masked != -1).sum() == 6
    X = np.arange(12.0)[:, np.newaxis]
    classifier = SGANClassifier(max_epochs=1, device="cpu").fit(X, masked)
    np.testing.assert_array_equal(classifier.classes_, TEXT)


def test_another_unlabeled_value():
    masked = mask_labels([0, 0, 1, 1], per_class=1, unlabeled_value=-0.5, random_state=0)
    assert sorted(masked) == [-0.5, -0.5, 0, 1]
    masked = mask_labels([0, 0, 1, 1], per_class=1, unlabeled_value="?", random_state=0)
    assert masked.dtype == object
    assert (masked == "?").sum() == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "exactly one of .* none"),
        ({"n_labeled": 5, "per_class": 1}, "exactly one of .* Got n_labeled, per_class"),
        ({"n_labeled": 2}, "'n_labeled' parameter .* at least 3 labels"),
        ({"n_labeled": 101}, "at most all 100. Got 101"),
        ({"fraction": 0.01}, "'fraction' parameter .* keeps 1"),
        ({"fraction": 0.0}, "'fraction' parameter"),
        ({"fraction": 1.5}, "'fraction' parameter"),
        ({"fraction": 1.001}, "'fraction' parameter"),
        ({"per_class": 11}, "at most 10, .* rarest class"),
        ({"per_class": 0}, "'per_class' parameter"),
        ({"per_class": 1.5}, "'per_class' parameter"),
        ({"per_class": 1, "stratify": "yes"}, "'stratify' parameter"),
        ({"per_class": 1, "random_state": "x"}, "'random_state' parameter"),
    ],
)
def test_wrong_numbers_of_labels(y, params, message):
    with pytest.raises(ValueError, match=message):
        mask_labels(y, **params)


@pytest.mark.parametrize("y", [[-1, -1], []])
def test_nothing_to_mask(y):
    with pytest.raises(ValueError, match="no class"):
        mask_labels(y, per_class=1)


# --- SemiSupervisedSplit: folds ---------------------------------------------------------------


@given(
    st.lists(st.integers(0, 2), min_size=6, max_size=40),
    st.integers(0, 30),
    st.integers(2, 3),
    st.booleans(),
    st.sampled_from(["int", "object", "float"]),
)
def test_folds_partition_the_labeled_rows(classes, n_unlabeled, n_splits, shuffle, kind):
    classes = [*classes, *[0, 1, 2] * n_splits]
    y = np.random.RandomState(0).permutation(np.r_[classes, np.full(n_unlabeled, -1)])
    if kind == "object":
        y = np.array([-1 if code < 0 else TEXT[int(code)] for code in y], dtype=object)
    elif kind == "float":
        y = y.astype(float)
    labeled = np.array([label != -1 for label in y])
    splitter = SemiSupervisedSplit(n_splits, shuffle=shuffle, random_state=0)
    folds = folds_of(splitter, y)
    assert len(folds) == splitter.get_n_splits() == n_splits
    tests = np.concatenate([test for _, test in folds])
    assert sorted(tests) == np.flatnonzero(labeled).tolist()
    for train, test in folds:
        assert not set(train) & set(test)
        assert set(np.flatnonzero(~labeled)) <= set(train)
        assert len(train) + len(test) == len(y)
        assert {str(label) for label in y[test]} == {str(label) for label in y[labeled]}


@pytest.fixture
def few():
    y = np.full(100, -1)
    y[10:40] = np.arange(30) % 3
    return y


@pytest.mark.parametrize(
    "convert", [np.asarray, sparse.csr_matrix, pd.DataFrame, np.ndarray.tolist]
)
def test_forms_of_the_rows(few, convert):
    X = np.random.RandomState(0).rand(100, 2)
    for (a, b), (c, d) in zip(
        folds_of(SemiSupervisedSplit(), few, convert(X)),
        folds_of(SemiSupervisedSplit(), few),
        strict=True,
    ):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, d)


def test_each_start_of_a_training_set_has_its_share_of_labels(few):
    for train, _ in folds_of(SemiSupervisedSplit(3), few):
        share = (few[train] != -1).mean()
        sizes = np.arange(1, len(train) + 1)
        labels = np.cumsum(few[train] != -1)
        assert (np.abs(labels - share * sizes) <= 1).all()


def test_the_order_of_training_rows_is_always_the_same():
    # It decides what an estimator learns, so no version may change it.
    y = np.array([0, 1, -1, 0, 1, -1, -1, 0, 1, -1])
    trains = [train.tolist() for train, _ in folds_of(SemiSupervisedSplit(2), y)]
    assert trains == [[8, 6, 7, 9, 2, 4, 5], [3, 6, 1, 9, 2, 0, 5]]


def test_all_rows_labeled():
    y = np.array([-1, 1] * 6)
    for train, test in folds_of(SemiSupervisedSplit(3, unlabeled_value=None), y):
        assert len(train) == 8
        assert len(test) == 4


def test_any_splitter_splits_the_labeled_rows(few):
    inner = StratifiedShuffleSplit(4, test_size=6, random_state=0)
    splitter = SemiSupervisedSplit(inner)
    folds = folds_of(splitter, few)
    assert splitter.get_n_splits() == len(folds) == 4
    assert all(len(test) == 6 and len(train) == 94 for train, test in folds)


def test_groups_go_to_the_splitter_inside(few):
    groups = np.arange(100) // 5
    splitter = SemiSupervisedSplit(GroupKFold(3))
    for train, test in folds_of(splitter, few, groups=groups):
        assert not set(groups[train[few[train] != -1]]) & set(groups[test])
        assert set(np.flatnonzero(few == -1)) <= set(train)
    leave_one = SemiSupervisedSplit(LeaveOneGroupOut())
    assert leave_one.get_n_splits(np.zeros((100, 1)), few, groups) == 6
    assert len(folds_of(leave_one, few, groups=groups)) == 6


def test_shuffling_follows_the_seed(few):
    def tests(**params):
        return [test.tolist() for _, test in folds_of(SemiSupervisedSplit(**params), few)]

    assert tests() == tests()
    assert tests(shuffle=True, random_state=0) == tests(shuffle=True, random_state=0)
    assert tests(shuffle=True, random_state=0) != tests(shuffle=True, random_state=1)


def test_copies_and_repr():
    splitter = SemiSupervisedSplit(3, shuffle=True, random_state=0)
    assert pickle.loads(pickle.dumps(splitter)).cv == 3
    text = "SemiSupervisedSplit(cv=3, random_state=0, shuffle=True, unlabeled_value=-1)"
    assert repr(splitter) == text


@pytest.mark.parametrize(
    ("params", "y", "message"),
    [
        ({"cv": 4}, [0, 0, 0, 1, 1, 1, 1, -1], "4 folds, .* 0 has only 3 .* folds is 3"),
        ({"cv": 2}, [0, 1, 1, -1], "only 1 labeled row. Label another row"),
        ({"cv": 2}, [-1, -1], "no labeled row"),
        ({"cv": 2}, None, "requires y"),
        ({"cv": 2}, [0, 0, 1, 1, np.nan], "NaN"),
        ({"cv": PredefinedSplit([0, 0, 1, 1, 1])}, [0, 1, -1, 0, 1], "4 in their order"),
        ({"cv": PredefinedSplit([0, 0, 1])}, [0, 1, -1, 0, 1], "PredefinedSplit of 3 rows"),
        ({"cv": 1}, [0, 0, 1, 1], "'cv' parameter .* at least 2"),
        ({"cv": True}, [0, 0, 1, 1], "'cv' parameter"),
        ({"cv": "stratified"}, [0, 0, 1, 1], "'cv' parameter"),
        ({"shuffle": 3}, [0, 0, 1, 1], "'shuffle' parameter"),
        ({"random_state": "x"}, [0, 0, 1, 1], "'random_state' parameter"),
        ({"cv": GroupKFold(2)}, [0, 0, 1, 1], "groups"),
    ],
)
def test_wrong_splits(params, y, message):
    X = np.zeros((4 if y is None else len(y), 1))
    with pytest.raises(ValueError, match=message):
        next(SemiSupervisedSplit(**params).split(X, y))


def test_predefined_folds_of_the_labeled_rows():
    y = [0, -1, 1, 0, 1]
    first, second = folds_of(SemiSupervisedSplit(PredefinedSplit([0, 0, 1, 1])), y)
    assert sorted(first[0]) == [1, 3, 4]
    assert first[1].tolist() == [0, 2]
    assert second[1].tolist() == [3, 4]


def test_lengths_must_agree(few):
    with pytest.raises(ValueError, match="y must hold one value for each row"):
        folds_of(SemiSupervisedSplit(), few, X=np.zeros((99, 1)))
    with pytest.raises(ValueError, match="groups must hold one value for each row"):
        folds_of(SemiSupervisedSplit(GroupKFold(2)), few, groups=np.zeros(99))


# --- SemiSupervisedSplit: in scikit-learn -----------------------------------------------------


@pytest.fixture(scope="module")
def trap():
    """Return digits of which nine in ten carry no label, and the true labels."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    return X, mask_labels(y, fraction=0.1, random_state=0), y


@pytest.mark.parametrize(
    "model",
    [
        LabelSpreading(kernel="knn", n_neighbors=7),
        SelfTrainingClassifier(LogisticRegression(max_iter=200)),
    ],
    ids=["LabelSpreading", "SelfTraining"],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered")
def test_usual_split_misjudges_and_this_one_does_not(trap, model):
    X, few, y = trap
    hidden = few == -1
    on_hidden_labels = clone(model).fit(X, few).score(X[hidden], y[hidden])
    assert on_hidden_labels > 0.8
    assert score_folds(model, X, few).mean() < 0.2
    scores = score_folds(model, X, few, cv=SemiSupervisedSplit())
    error = scores.std() / np.sqrt(len(scores))
    assert scores.mean() == pytest.approx(on_hidden_labels, abs=max(3 * error, 0.05))


@pytest.mark.slow
@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_search_is_the_same_in_two_processes():
    X, y = load_iris(return_X_y=True)
    few = mask_labels(y, per_class=6, random_state=0)
    searches = [
        GridSearchCV(
            # Ensembles are smaller within this process.
            SGANClassifier(ensemble=None, max_epochs=2, device="cpu", random_state=0),
            {
                "unsupervised_weight": [0.3, 1.0],
                "latent_dim": [4, 8],
                "discriminator_lr": [1e-3, 1e-2],
            },
            cv=SemiSupervisedSplit(3),
            n_jobs=n_jobs,
            refit=False,
        ).fit(X, few)
        for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    assert len(one) == 8
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, two)
    assert searches[0].best_params_ == searches[1].best_params_


def test_learning_curve_of_few_labels(trap):
    X, few, _ = trap
    model = SelfTrainingClassifier(LogisticRegression(max_iter=200))
    sizes, _, test_scores = learning_curve(
        model,
        X,
        few,
        cv=SemiSupervisedSplit(3),
        train_sizes=[0.5, 1.0],
        scoring="accuracy",
        error_score="raise",
    )
    assert len(sizes) == 2
    assert (test_scores > 0.5).all()


def test_groups_with_metadata_routing(trap):
    X, few, _ = trap
    groups = np.arange(len(few)) % 7
    with config_context(enable_metadata_routing=True):
        scores = cross_validate(
            SelfTrainingClassifier(LogisticRegression(max_iter=200)),
            X,
            few,
            cv=SemiSupervisedSplit(GroupKFold(3)),
            params={"groups": groups},
            error_score="raise",
        )
    assert len(scores["test_score"]) == 3


def test_splitter_without_classes(few):
    folds = folds_of(SemiSupervisedSplit(KFold(5)), few)
    assert [len(test) for _, test in folds] == [6] * 5


@pytest.mark.parametrize(
    ("splitter", "message"),
    [
        (SemiSupervisedSplit(KFold), "an integer of at least 2 or a scikit-learn splitter"),
        (
            SemiSupervisedSplit(KFold(3), shuffle=True),
            "'shuffle' .* unless cv is an integer",
        ),
        (SemiSupervisedSplit(RepeatedStratifiedKFold(n_splits=11)), "asks for 11 folds"),
    ],
)
def test_unsuitable_splitters_are_refused(splitter, message, few):
    with pytest.raises(ValueError, match=message):
        folds_of(splitter, few)


@pytest.mark.parametrize(
    ("y", "value", "dtype"),
    [
        (np.arange(4, dtype=np.int8), -1, np.int8),
        (np.arange(4, dtype=np.int8), -1000, np.int16),
        (np.arange(4, dtype=np.uint8), -1, np.int64),
        (np.arange(4, dtype=np.uint64) + 2**63, -1, object),
        (np.arange(4).astype("datetime64[D]"), -1, object),
    ],
)
def test_masked_labels_have_room_for_both(y, value, dtype):
    masked = mask_labels(y, per_class=1, unlabeled_value=value)
    assert masked.dtype == dtype
    assert masked.tolist() == y.tolist()
