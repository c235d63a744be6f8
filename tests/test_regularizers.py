"""Contracts of all regularizers in the registry, then closed forms of each."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits, make_circles, make_classification, make_moons
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Perceptron
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import nn

from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import mask_labels
from sgan_sklearn.objectives import OBJECTIVES
from sgan_sklearn.regularizers import (
    REGULARIZERS,
    ClassPrior,
    ConditionalEntropy,
    Consistency,
    Distillation,
    PseudoLabel,
    Regularizer,
    SpreadLabels,
    UnlabeledRows,
    VirtualAdversarial,
    _spread_labels,
)
from sgan_sklearn.regularizers._class_prior import MAX_PRIOR_ROWS
from sgan_sklearn.regularizers._patches import PatchFeatures, reduced_size
from sgan_sklearn.regularizers._simple_classifiers import ignore_fit_warnings
from sgan_sklearn.regularizers._spread_labels import calibrated, neighbor_graph, spread

N_CLASSES, N_FEATURES = 3, 4

each_regularizer = pytest.mark.parametrize("name", REGULARIZERS)


def linear(weight, bias=None):
    """Return a noise-free classifier with given weights, float64."""
    weight = torch.tensor(weight, dtype=torch.float64)
    module = nn.Linear(weight.shape[1], weight.shape[0]).double()
    with torch.no_grad():
        module.weight.copy_(weight)
        module.bias.copy_(torch.zeros(len(weight)) if bias is None else torch.tensor(bias))
    return module


def view(rows, module, averaged=None, augment=None, indices=None):
    averaged = module if averaged is None else averaged
    identity = nn.Identity()
    indices = torch.arange(len(rows)) if indices is None else indices
    return UnlabeledRows(rows, module, averaged, identity, augment or identity, indices)


def prepared(name, rows=None, codes=None):
    rows = np.random.RandomState(0).randn(12, N_FEATURES) if rows is None else rows
    codes = np.array([-1, 0, 1, 2] * 3) if codes is None else codes
    regularizer = REGULARIZERS[name]().prepare(rows, codes, codes.max() + 1)
    regularizer.start_training(torch.from_numpy(rows), torch.from_numpy(codes))
    return regularizer


def make_discriminator():
    return MLPArchitecture((8, 8)).build_discriminator((N_FEATURES,), N_CLASSES)


# --- contracts ----------------------------------------------------------------------------


@each_regularizer
def test_registered_under_its_own_name(name):
    assert issubclass(REGULARIZERS[name], Regularizer)
    assert REGULARIZERS[name].name == name


@each_regularizer
def test_clone_and_prepare_keep_the_parameters(name):
    regularizer = REGULARIZERS[name](weight=0.25, ramp_up=7)
    before = clone(regularizer).get_params()
    ready = regularizer.prepare(np.eye(4), np.array([0, 1, -1, 1]), 2)
    assert regularizer.get_params() == before
    assert (ready.weight, ready.ramp_up) == (0.25, 7)


@each_regularizer
def test_loss_is_a_scalar_that_moves_the_discriminator_only(name):
    torch.manual_seed(0)
    discriminator, averaged = make_discriminator(), make_discriminator()
    # Certain enough for pseudo-labels.
    averaged.output.gain.data.fill_(100.0)
    rows = torch.randn(6, N_FEATURES)
    loss = prepared(name).loss(view(rows, discriminator, averaged))
    assert loss.shape == ()
    loss.backward()
    assert all(weight.grad is None for weight in averaged.parameters())
    grads = [weight.grad for weight in discriminator.parameters() if weight.grad is not None]
    assert sum(float(grad.abs().sum()) for grad in grads) > 0


@each_regularizer
def test_loss_keeps_the_training_mode(name):
    discriminator = make_discriminator().train()
    prepared(name).loss(view(torch.randn(6, N_FEATURES), discriminator))
    assert all(module.training for module in discriminator.modules())


@each_regularizer
@pytest.mark.parametrize("n_rows", [1, 2])
def test_few_rows_and_one_class_give_finite_losses(name, n_rows):
    module = linear([[1.0, -1.0]])
    regularizer = prepared(name, np.ones((n_rows, 2)), np.zeros(n_rows, dtype=int))
    loss = regularizer.loss(view(torch.ones(n_rows, 2, dtype=torch.float64), module))
    assert loss.isfinite()


@each_regularizer
def test_extreme_logits_give_finite_losses_and_gradients(name):
    module = linear([[1e4, 0.0], [0.0, 1e4]])
    regularizer = prepared(name, np.eye(2), np.array([0, 1]))
    loss = regularizer.loss(view(torch.eye(2, dtype=torch.float64), module))
    loss.backward()
    assert loss.isfinite()
    assert module.weight.grad is None or module.weight.grad.isfinite().all()


def test_ramp():
    regularizer = ConditionalEntropy(ramp_up=100)
    assert regularizer.ramp(0) == pytest.approx(np.exp(-5))
    assert regularizer.ramp(50) == pytest.approx(np.exp(-1.25))
    assert [regularizer.ramp(step) for step in (100, 5000)] == [1, 1]
    assert ConditionalEntropy(ramp_up=0).ramp(0) == 1
    late = PseudoLabel(start=40, ramp_up=100)
    assert [late.ramp(step) for step in (0, 39)] == [0, 0]
    assert [late.ramp(step + 40) for step in (0, 50)] == [regularizer.ramp(s) for s in (0, 50)]
    assert late.ramp(140) == 1
    assert [PseudoLabel(start=1, ramp_up=0).ramp(step) for step in (0, 1)] == [0, 1]
    early = SpreadLabels(start=2, ramp_up=0, end=4)
    assert [early.ramp(step) for step in range(6)] == [0, 0, 1, 1, 0, 0]


@pytest.mark.parametrize("record_steps", [False, True])
def test_a_term_is_not_computed_before_its_start(digits, record_steps):
    X, y = digits
    training = Training(record_steps=record_steps)
    fits = {
        start: SGANClassifier(
            MLPArchitecture((16,), (16,)),
            regularizer=PseudoLabel(0.2, start=start, ramp_up=0),
            max_epochs=3,
            device="cpu",
            random_state=0,
            training=training,
        ).fit(X, y)
        for start in (0, 15, 10**6)
    }
    n_steps = fits[0].n_steps_ // 3
    assert 2 * n_steps > 15
    terms = {s: ["pseudo_label" in epoch for epoch in f.history_] for s, f in fits.items()}
    assert terms == {0: [True] * 3, 15: [n_steps > 15, True, True], 10**6: [False] * 3}
    results = [fitted.predict_proba(X) for fitted in fits.values()]
    assert not np.array_equal(results[0], results[1])
    assert not np.array_equal(results[1], results[2])


# --- closed forms -------------------------------------------------------------------------


def softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)


@pytest.fixture
def logits():
    return np.random.RandomState(0).randn(5, N_CLASSES) * 2


@pytest.fixture
def as_rows(logits):
    """The logits as rows, for a classifier that returns its rows."""
    return torch.from_numpy(logits)


def test_entropy_closed_form(logits, as_rows):
    p = softmax(logits)
    loss = ConditionalEntropy().loss(view(as_rows, nn.Identity()))
    np.testing.assert_allclose(loss, -(p * np.log(p)).sum(axis=1).mean(), rtol=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.9])
def test_class_prior_closed_form(logits, as_rows, decay):
    prior = np.array([0.5, 0.3, 0.2])
    regularizer = ClassPrior(prior, decay=decay)
    answer, mean = softmax(logits), prior
    for _ in range(3):
        rows = as_rows.clone().requires_grad_()
        loss = regularizer.loss(view(rows, nn.Identity()))
        mean = decay * mean + (1 - decay) * answer.mean(axis=0)
        expected = (prior * np.log(prior / mean)).sum()
        np.testing.assert_allclose(loss.detach(), expected, atol=1e-7)
        (gradient,) = torch.autograd.grad(loss, rows)
        # d/dl of -sum_k prior_k / mean_k * mean_i p_ik, whatever the decay.
        pull = -prior / mean
        slopes = answer * (pull - (answer * pull).sum(axis=1, keepdims=True)) / len(answer)
        np.testing.assert_allclose(gradient, slopes, atol=1e-7)


def test_class_prior_tolerates_random_deviations_of_a_batch():
    answers = torch.tensor([[2.0, 0.0]] * 6 + [[0.0, 2.0]] * 4)  # 60 to 40, expected 50 to 50
    pull = {}
    for decay in (0.0, 0.99):
        regularizer = ClassPrior([0.5, 0.5], decay=decay)
        rows = answers.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(regularizer.loss(view(rows, nn.Identity())), rows)
        pull[decay] = gradient.abs().max().item()
    assert pull[0.99] < 0.02 * pull[0.0]
    # It does not tolerate the same deviation of a hundred batches.
    for _ in range(300):
        rows = answers.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(regularizer.loss(view(rows, nn.Identity())), rows)
    assert gradient.abs().max().item() > 0.9 * pull[0.0]


def test_copy_of_class_prior_has_no_state_of_the_training(as_rows):
    regularizer = ClassPrior([0.5, 0.3, 0.2])
    regularizer.loss(view(as_rows, nn.Identity()))
    assert hasattr(regularizer, "mean_")
    assert not hasattr(pickle.loads(pickle.dumps(regularizer)), "mean_")


def test_consistency_closed_form(logits, as_rows):
    views = iter([as_rows + 1.0 * torch.eye(5, 3), as_rows])
    loss = Consistency().loss(view(as_rows, nn.Identity(), augment=lambda rows: next(views)))
    expected = ((softmax(logits + np.eye(5, 3)) - softmax(logits)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("threshold", [0.0, 0.7, 1.0])
def test_pseudo_label_closed_form(logits, as_rows, threshold):
    teacher = linear(np.eye(N_CLASSES)[[1, 2, 0]])
    q = softmax(teacher(as_rows).detach().numpy())
    losses = -np.log(softmax(logits))[np.arange(5), q.argmax(axis=1)]
    expected = (losses * (q.max(axis=1) >= threshold)).mean()
    loss = PseudoLabel(threshold).loss(view(as_rows, nn.Identity(), teacher))
    np.testing.assert_allclose(loss, expected, rtol=1e-12)
    assert (expected > 0) == (threshold < 1)


def test_adaptive_thresholds_closed_form(logits, as_rows):
    teacher, decay = linear(2.0 * np.eye(N_CLASSES)[[1, 2, 0]]), 0.2
    rows = [as_rows, as_rows.flip(0)[:3] * 3]
    mean = confidence = None  # the first batch's
    regularizer, n_used = PseudoLabel("adaptive", decay=decay), []
    for x in rows:
        q = softmax(teacher(x).detach().numpy())
        if mean is None:
            mean, confidence = q.mean(axis=0), q.max(axis=1).mean()
        mean = decay * mean + (1 - decay) * q.mean(axis=0)
        confidence = decay * confidence + (1 - decay) * q.max(axis=1).mean()
        codes = q.argmax(axis=1)
        used = q.max(axis=1) >= (confidence * mean / mean.max())[codes]
        losses = -np.log(softmax(x.numpy()))[np.arange(len(x)), codes]
        loss = regularizer.loss(view(x, nn.Identity(), teacher))
        np.testing.assert_allclose(loss, (losses * used).mean(), rtol=1e-12)
        n_used.append(used.sum())
    assert 0 < n_used[0] < 5
    assert regularizer.get_params() == PseudoLabel("adaptive", decay=decay).get_params()
    assert not hasattr(pickle.loads(pickle.dumps(regularizer)), "mean_")


def test_other_training_state_of_a_subclass_is_its_own():
    PseudoLabel("adaptive")._check_training_state({"shares_": 1}, n_rows=10, n_classes=3)


def test_virtual_adversarial_step_is_the_worst_one():
    # Two classes whose logits differ along (3, 4): the worst step of a linear classifier is
    # along that direction, towards the border, and as long as eps.
    module = linear([[0.0, 0.0], [3.0, 4.0]])
    x = np.array([[0.1, 0.2]])
    loss = VirtualAdversarial(eps=0.5).loss(view(torch.from_numpy(x), module)).item()
    margin = x @ [3.0, 4.0]
    divergences = []
    for sign in (1, -1):
        p, q = (1 / (1 + np.exp(-m)) for m in (margin, margin + sign * 0.5 * 5))
        divergences.append((p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))).item())
    # The sign depends on the random probe; the length and the direction do not.
    assert min(abs(loss - d) for d in divergences) < 1e-9


def test_virtual_adversarial_loss_is_at_least_that_of_random_steps():
    torch.manual_seed(0)
    module = make_discriminator().double().eval()
    rows = torch.randn(20, N_FEATURES, dtype=torch.float64)
    unlabeled = view(rows, module)
    worst = VirtualAdversarial(eps=0.1).loss(unlabeled).item()
    p = unlabeled.logits.softmax(1)
    for _ in range(10):
        step = nn.functional.normalize(torch.randn_like(rows)) * 0.1
        q = unlabeled.classify(rows + step).softmax(1)
        assert worst > (p * (p.log() - q.log())).sum(1).mean().item()


# --- estimates from the training rows -----------------------------------------------------


def test_virtual_adversarial_eps_by_scale():
    rng = np.random.RandomState(0)
    rows = rng.randn(200, 3)
    standardized = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    one_class = np.zeros(200, dtype=int)
    constant = np.column_stack([standardized, np.zeros(200)])
    levels = np.column_stack([standardized, np.arange(200) % 7 == 0])
    assert VirtualAdversarial().prepare(standardized, one_class, 1).eps == 0.5
    assert VirtualAdversarial().prepare(constant, one_class, 1).eps == 0.5
    assert VirtualAdversarial().prepare(levels, one_class, 1).eps == 0.5
    assert VirtualAdversarial().prepare(standardized * [1, 1, 0.3], one_class, 1).eps == 1.0
    held_out = standardized[np.abs(standardized).max(axis=1) < 2.2]
    assert 0.85 < held_out.std(axis=0).max() < 0.98
    assert VirtualAdversarial().prepare(held_out, one_class[: len(held_out)], 1).eps == 0.5
    assert VirtualAdversarial(eps=0.2).prepare(rows, one_class, 1).eps == 0.2


@pytest.mark.parametrize(
    ("gap", "eps"),
    # Classes at 0, 0.2 and at gap, gap + 0.2: nearest of the same class 0.2 away, of the other
    # class gap from two of the rows and gap - 0.2 from the two between.
    [(10.0, 1.0), (0.9, (0.7 + 0.5) / 4), (0.3, 0.1), (0.21, 0.1)],
)
def test_virtual_adversarial_eps_by_margin(gap, eps):
    labeled = np.array([0.0, 0.2, gap, gap + 0.2])
    rows = np.r_[labeled, np.linspace(0, gap, 50)][:, np.newaxis]
    codes = np.r_[0, 0, 1, 1, np.full(50, -1)]
    assert VirtualAdversarial().prepare(rows, codes, 2).eps == pytest.approx(eps)


@pytest.mark.parametrize(
    ("prior", "expected"),
    [("labels", [0.75, 0.25]), ("uniform", [0.5, 0.5]), ([1, 4], [0.2, 0.8])],
)
def test_class_prior_given(prior, expected):
    codes = np.array([0, 0, 0, 1, -1, -1])
    np.testing.assert_allclose(ClassPrior(prior).prepare(np.eye(6), codes, 2).prior, expected)


def two_sides(n_left, distance):
    """Return 100 rows at two places, `n_left` at the left one, and a label for one of each."""
    left = np.arange(100) < n_left
    rows = np.where(left, -distance, distance)[:, np.newaxis]
    return np.r_[[[-1.0], [1.0]], rows], np.r_[0, 1, np.full(100, -1)]


@pytest.mark.parametrize("prior", ["auto", "predicted"])
def test_class_prior_finds_a_rare_class_despite_balanced_labels(prior):
    prior = ClassPrior(prior).prepare(*two_sides(90, distance=5.0), 2).prior
    np.testing.assert_allclose(prior, np.array([92, 12]) / 104)


def test_class_prior_uses_the_labels_if_predictions_are_uncertain():
    # At the border between the classes, errors can explain 65 to 35.
    np.testing.assert_array_equal(ClassPrior().prepare(*two_sides(65, distance=0.1), 2).prior, 0.5)
    predicted = ClassPrior("predicted").prepare(*two_sides(65, distance=0.1), 2).prior
    np.testing.assert_allclose(predicted, np.array([67, 37]) / 104)
    far = ClassPrior().prepare(*two_sides(65, distance=5.0), 2).prior
    np.testing.assert_allclose(far, predicted)


@pytest.mark.parametrize("prior", ["auto", "predicted"])
@pytest.mark.parametrize("n_unlabeled", [0, 10])
def test_class_prior_of_certain_predictions_that_agree_with_the_labels(prior, n_unlabeled):
    codes = np.repeat([0, 1], [90, 10])
    rows = np.where(codes, 50.0, -50.0)[:, np.newaxis]
    codes[5 : 5 + n_unlabeled * 9 // 10] = -1
    codes[99 : 99 - n_unlabeled // 10 : -1] = -1
    found = ClassPrior(prior).prepare(rows, codes, 2).prior
    np.testing.assert_allclose(found, [0.9, 0.1], atol=0.01 if prior == "predicted" else 1e-12)


def test_predicted_class_prior_of_many_rows_in_a_regular_order():
    codes = np.tile([0, 1], MAX_PRIOR_ROWS)
    rows = np.random.RandomState(0).randn(len(codes), 2) + 4.0 * codes[:, None]
    few = np.where(np.arange(len(codes)) < 100, codes, -1)
    prior = ClassPrior("predicted").prepare(rows, few, 2).prior
    np.testing.assert_allclose(prior, 0.5, atol=0.02)
    assert (prior != 0.5).any()


def test_predicted_class_prior_gives_no_warning():
    rows = np.random.RandomState(0).randn(40, 3) * [1e-4, 1.0, 1e4]
    ClassPrior().prepare(rows, np.arange(40), 40)


@pytest.mark.parametrize("cls", [VirtualAdversarial, ClassPrior])
def test_prepare_keeps_a_subclass(cls):
    class Own(cls):
        pass

    assert type(Own().prepare(np.eye(3), np.array([0, 1, 2]), 3)) is Own


@pytest.mark.parametrize(
    "prior", [[0.5, 0.5], [1.0, 0.0, 0.0], [[1, 1, 1]], [np.inf, 1, 1], ["a", "b", "c"]]
)
def test_class_prior_that_does_not_match_the_classes_is_refused(prior):
    with pytest.raises(ValueError, match=r"'prior' parameter of ClassPrior .* 3 classes"):
        ClassPrior(prior).prepare(np.eye(3), np.array([0, 1, 2]), 3)


class Constant(ClassifierMixin, BaseEstimator):
    """Teacher with constant probabilities."""

    def __init__(self, first=0.9):
        self.first = first

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        rest = (1 - self.first) / (len(self.classes_) - 1)
        return np.tile([self.first, *[rest] * (len(self.classes_) - 1)], (len(X), 1))


def taught(regularizer, rows, codes, n_classes):
    regularizer = regularizer.prepare(rows, codes, n_classes)
    regularizer.start_training(torch.from_numpy(rows), torch.from_numpy(codes))
    return regularizer


def test_distillation_is_the_divergence_from_the_teacher(rng):
    rows, codes = rng.normal(size=(6, 2)), np.array([0, 1, -1, -1, 1, -1])
    teacher = taught(Distillation(Constant(0.8), adaptive=False), rows, codes, 2)
    module = linear([[1.0, 2.0], [0.5, -1.0]])
    loss = teacher.loss(view(torch.from_numpy(rows), module))
    p, t = softmax(rows @ module.weight.detach().numpy().T), np.array([0.8, 0.2])
    each = (t * np.log(t / p)).sum(axis=1)
    assert loss.item() == pytest.approx(each[codes < 0].sum() / 6, rel=1e-3)


def test_distillation_finds_the_rows_of_a_batch(rng):
    rows = rng.normal(size=(40, 2))
    true = (rows[:, 0] > 0).astype(int)
    codes = np.where(np.arange(40) < 20, true, -1)
    teacher = taught(Distillation(LogisticRegression(), adaptive=False), rows, codes, 2)
    batch = torch.tensor([39, 25, 3])
    expected = LogisticRegression().fit(rows[:20], true[:20]).predict_proba(rows[batch])
    np.testing.assert_allclose(teacher.targets_[batch].exp(), expected, atol=1e-3)
    assert (teacher.weights_[batch] > 0).tolist() == [True, True, False]


def test_distillation_is_not_used_if_classes_are_separate(rng):
    codes = np.tile([0, 1], 40)
    few = np.where(np.arange(80) < 40, codes, -1)
    noise = rng.normal(size=(80, 2))
    assert taught(Distillation(), noise + 6 * codes[:, None], few, 2).targets_ is None
    assert taught(Distillation(), noise, few, 2).weights_.max() == 1
    between = taught(Distillation(), noise + codes[:, None], few, 2)
    assert 0 < between.weights_.max() < 1


def test_distillation_is_not_used_if_labels_spread_but_the_teacher_fails():
    rows, codes = make_circles(200, noise=0.02, factor=0.4, random_state=0)
    few = np.where(np.arange(200) < 20, codes, -1)
    assert taught(Distillation(LogisticRegression()), rows, few, 2).targets_ is None


def test_distillation_is_used_if_labels_of_a_rare_class_do_not_spread(rng):
    codes = np.array([0] * 36 + [1] * 4 + [-1] * 40)  # a constant prediction has an accuracy of 0.9
    teacher = taught(Distillation(), rng.normal(size=(80, 2)), codes, 2)
    assert teacher.weights_.max() == 1


def factor(rows, codes):
    return taught(Distillation(Constant()), rows, codes, codes.max() + 1).factor_


def test_equal_rows_do_not_affect_the_spreading_of_labels(rng):
    true = np.arange(60) % 2
    codes = np.where(np.arange(60) < 20, true, -1)
    rows = rng.normal(size=(60, 2)) + true[:, None]
    again = np.repeat(codes, 8)
    again[np.arange(480) % 8 > 0] = -1
    assert 0 < factor(rows, codes) < 1
    assert factor(np.repeat(rows, 8, axis=0), again) == factor(rows, codes)
    assert factor(np.eye(2)[np.tile(true, 9)], np.append(codes, np.full(480, -1))) == 0


def test_distillation_does_not_depend_on_the_order_of_classes():
    rows, true = make_moons(1000, random_state=3)
    few = np.full(1000, -1)
    few[[0, 1, 2, 4]] = true[[0, 1, 2, 4]]  # labels that do not reach all rows
    assert factor(rows, few) == factor(rows, np.where(few == -1, -1, 1 - few))


@pytest.mark.parametrize(("n_classes", "n_rows"), [(2, 4), (2, 5), (10, 4)])
def test_distillation_is_not_used_for_small_separate_clusters(rng, n_classes, n_rows):
    true = np.repeat(np.arange(n_classes), n_rows)
    rows = rng.normal(size=(len(true), 2)) + 100 * true[:, None]
    assert factor(rows, np.where(np.arange(len(true)) % n_rows < 2, true, -1)) == 0


def test_class_with_one_label_is_not_evaluated(rng):
    codes = np.array([0] * 5 + [1] * 5 + [2] + [-1] * 30)
    for _ in range(10):  # some of them guess the third class
        assert factor(rng.normal(size=(41, 2)), codes) > 0


def test_labels_do_not_spread_in_noise_of_many_classes(rng):
    codes = np.repeat(np.arange(1100), 3)
    rows = rng.normal(size=(len(codes) + 1, 2))
    assert factor(rows, np.append(codes, -1)) == 1


def test_distillation_with_a_class_missing_from_a_part(rng):
    rows = rng.normal(size=(12, 2))
    codes = np.array([0, 2, -1] * 4)
    teacher = taught(Distillation(adaptive=False), rows, codes, 3)
    assert teacher.targets_.shape == (12, 3)
    assert (teacher.targets_.exp()[:, 1] < 0.01).all()


@pytest.mark.parametrize("codes", [[0, 1, 0, 1], [-1, -1, -1, -1], [0, 0, -1, -1]])
def test_distillation_without_labels_or_unlabeled_rows_or_classes_is_zero(codes):
    rows = np.eye(4)
    teacher = taught(Distillation(), rows, np.array(codes), 2)
    module = linear([[1.0, 2.0, 0.0, 1.0], [0.5, -1.0, 1.0, 0.0]])
    assert teacher.loss(view(torch.from_numpy(rows), module)).item() == 0


class Pretrained(ClassifierMixin, BaseEstimator):
    """A stand-in for a pretrained model: it keeps the labeled rows, and compares others to them."""

    seen = ()

    def __init__(self, device="cpu"):
        self.device = device

    def fit(self, X, y):
        Pretrained.seen += (np.asarray(y),)
        self.classes_ = np.unique(y)
        self.X_, self.y_ = X, y
        return self

    def predict_proba(self, X):
        similarity = rbf_kernel(X, self.X_) @ (self.y_[:, np.newaxis] == self.classes_)
        return similarity / similarity.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    "params",
    [
        {"regularizer": Distillation(Pretrained(), weight=30, adaptive=False), "ensemble": None},
        {"regularizer": None, "ensemble": Pretrained()},
    ],
    ids=["distillation", "ensemble"],
)
def test_pretrained_model_as_the_teacher(params, tmp_path):
    # Label spreading fails, so that the ensemble has its full weight.
    X, y = make_classification(400, n_informative=3, flip_y=0.3, random_state=0)
    few = mask_labels(y, per_class=20, random_state=0)
    labeled = few != -1
    rows = StandardScaler().fit_transform(X)
    taught = Pretrained().fit(rows[labeled], few[labeled]).predict_proba(rows[~labeled])
    Pretrained.seen = ()
    shared = {"max_epochs": 20, "random_state": 0, "scaling": "standard"}
    clf = SGANClassifier(**shared, **params).fit(X, few)
    assert [codes.tolist().count(-1) for codes in Pretrained.seen] == [0]
    alone = SGANClassifier(**shared, regularizer=None, ensemble=None).fit(X, few)

    def distance(classifier):
        return np.abs(classifier.predict_proba(X[~labeled]) - taught).mean()

    assert distance(clf) < distance(alone) - 0.02
    save(clf, tmp_path / "model")
    restored = load(tmp_path / "model", custom_objects=[Pretrained])
    np.testing.assert_array_equal(restored.predict_proba(X), clf.predict_proba(X))


def test_distillation_uses_the_random_state_of_the_classifier(digits):
    always = Distillation(adaptive=False)  # digits need no teacher
    first, same = (fit(digits, regularizer=always) for _ in range(2))
    np.testing.assert_array_equal(first.label_distributions_, same.label_distributions_)
    seeds = []

    class Watched(RandomForestClassifier):
        def fit(self, X, y):
            seeds.append(self.random_state)
            return super().fit(X, y)

    teacher = Distillation(Watched(2), adaptive=False)
    for seed in (0, 0, 1):
        fit(digits, regularizer=teacher, random_state=seed, max_epochs=1)
    assert seeds[0] == seeds[1] != seeds[2]


def test_distillation_after_unpickling_and_on_other_rows(digits):
    X, few = digits
    classifier = fit(digits, regularizer=Distillation(adaptive=False), warm_start=True)
    pickled = pickle.dumps(classifier)
    assert b"RandomForest" not in pickled
    again = pickle.loads(pickled).fit(X[:400], few[:400])
    assert "distillation" in again.history_[-1]


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        (Perceptron(), "'fit' and 'predict_proba'"),
        (LogisticRegression, r"write LogisticRegression\(\)"),
        (KNeighborsClassifier(99), "from 15 labeled rows .* raised: Expected n_neighbors"),
        (MultinomialNB(), "raised: Negative values"),
        (Constant(np.nan), "raised: its class probabilities are negative or not finite"),
        (Constant(-0.5), "raised: its class probabilities are negative or not finite"),
    ],
)
def test_invalid_teachers_are_refused(digits, estimator, message):
    with pytest.raises(ValueError, match=f"'estimator' parameter of Distillation.*{message}"):
        fit(digits, regularizer=Distillation(estimator, adaptive=False))


# --- label spreading ----------------------------------------------------------------------


def two_moons(n_rows=300, per_class=4):
    X, y = make_moons(n_rows, noise=0.05, random_state=0)
    few = np.full(n_rows, -1)
    for code in (0, 1):
        few[np.flatnonzero(y == code)[:per_class]] = code
    return X.astype(np.float32), y, few


def test_labels_spread_among_neighbors():
    X, y, few = two_moons()
    shares = taught(SpreadLabels(), X, few, 2).log_shares_.exp().numpy()
    np.testing.assert_allclose(shares.sum(axis=1), 1, rtol=1e-4)
    assert (shares.argmax(axis=1) == y).mean() > 0.98


def test_rows_outside_the_graph_have_the_mean_of_their_neighbors(monkeypatch):
    X, y, few = two_moons()
    monkeypatch.setattr(_spread_labels, "MAX_GRAPH_ROWS", 80)
    monkeypatch.setattr(_spread_labels, "ROWS_AT_A_TIME", 7)
    monkeypatch.setattr(_spread_labels, "MIN_PROBABILITY", 0.0)
    monkeypatch.setattr(_spread_labels, "random_subset", lambda indices, size: indices[:size])
    graph_rows = np.arange(80)  # the first of the moons' rows, labeled ones among them
    few[80:] = -1
    shares = taught(SpreadLabels(n_neighbors=3), X, few, 2).log_shares_.exp().numpy()
    neighbors = KNeighborsClassifier(3).fit(X[:80], y[:80]).kneighbors(X[80:])[1]
    np.testing.assert_allclose(shares[80:], shares[graph_rows[neighbors]].mean(axis=1), rtol=1e-4)


def test_labels_spread_among_equal_rows(rng):
    # A row with more equal rows than neighbors would have no other neighbors.
    counts = np.repeat(np.arange(12), 40)
    X = np.column_stack([counts, np.zeros(480)]).astype(np.float32)
    y = (counts > 5).astype(int)
    few = np.where(np.isin(np.arange(480), [0, 1, 478, 479]), y, -1)
    shares = taught(SpreadLabels(n_neighbors=2), X, few, 2).log_shares_.exp().numpy()
    np.testing.assert_array_equal(shares.argmax(axis=1), y)


def test_spreading_is_the_cross_entropy_with_the_product_of_the_predictions():
    X, _, few = two_moons()
    X = X.astype(np.float64)
    teacher = taught(SpreadLabels(), X, few, 2)
    batch = torch.tensor([150, 3, 77])
    module = linear([[1.0, 2.0], [0.5, -1.0]])
    loss = teacher.loss(view(torch.from_numpy(X)[batch], module, indices=batch))
    p = softmax(X[batch] @ module.weight.detach().numpy().T)
    target = p * teacher.log_shares_[batch].exp().numpy()
    target /= target.sum(axis=1, keepdims=True)
    assert loss.item() == pytest.approx(-(target * np.log(p)).sum(axis=1).mean(), rel=1e-4)


def test_graph_of_neighbors():
    rows = np.array([[0.0], [1.0], [3.0], [3.0], [3.0]], dtype=np.float32)
    graph = neighbor_graph(rows, 2).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert (graph.diagonal() == 0).all()
    assert graph[2, 3] == graph[3, 4] == 1  # equal rows
    assert graph[0, 1] == pytest.approx(np.exp(-4 / 9))  # of distances 1 and 3, or 1 and 2


def test_spreading_is_the_sum_of_all_steps():
    rows = np.array([[0.0], [1.0], [3.0], [3.5], [6.0]], dtype=np.float32)
    graph, y = neighbor_graph(rows, 2), np.array([0, -1, -1, 1, 1])
    root = np.diag(1 / np.sqrt(graph.toarray().sum(axis=1)))
    similarity = root @ graph.toarray() @ root
    labels = np.eye(2)[y] * (y >= 0)[:, None]
    alpha, n_steps = _spread_labels.ALPHA, _spread_labels.N_STEPS
    steps = [alpha**k * np.linalg.matrix_power(similarity, k) @ labels for k in range(n_steps + 1)]
    expected = (1 - alpha) * sum(steps[:-1]) + steps[-1]
    expected /= expected.sum(axis=0)
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(spread(graph, y, 2), expected, rtol=1e-3)


def test_spread_probabilities_are_calibrated(rng):
    y = np.arange(300) % 3
    rows = (np.eye(3)[y] + rng.normal(scale=0.6, size=(300, 3))).astype(np.float32)
    few = np.where(np.arange(300) < 60, y, -1)
    graph = neighbor_graph(rows, 10)
    plain, better = spread(graph, few, 3)[60:], calibrated(graph, few, 3)[60:]

    def log_loss(shares):
        return -np.log(shares[np.arange(240), y[60:]]).mean()

    np.testing.assert_array_equal(plain.argmax(axis=1), better.argmax(axis=1))
    assert log_loss(better) < log_loss(plain)


def test_power_of_the_probabilities_depends_on_the_labels(rng):
    powers = []
    for noise in (0.3, 1.5):
        y = np.arange(300) % 3
        rows = (np.eye(3)[y] + rng.normal(scale=noise, size=(300, 3))).astype(np.float32)
        graph, few = neighbor_graph(rows, 10), np.where(np.arange(300) < 60, y, -1)
        plain, power = np.log(spread(graph, few, 3)[99]), np.log(calibrated(graph, few, 3)[99])
        powers.append(np.ptp(power) / np.ptp(plain))
    assert powers[0] > powers[1] + 0.5


@pytest.mark.parametrize("n_labels", [3, 4])
def test_power_of_the_probabilities_with_too_few_labels_for_cross_validation(rng, n_labels):
    y = np.arange(60) % 3
    graph = neighbor_graph((np.eye(3)[y] + rng.normal(scale=0.3, size=(60, 3))), 5)
    few = np.where(np.arange(60) < n_labels, y, -1)  # at most one class has two labels
    cubes = spread(graph, few, 3) ** _spread_labels.DEFAULT_POWER
    expected = cubes / cubes.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(calibrated(graph, few, 3), expected, rtol=1e-5)


def test_nothing_spreads_if_equal_rows_hide_a_class():
    X = np.array([[0.0], [0.0], [0.0], [1.0], [2.0]], dtype=np.float32)
    few = np.array([0, 0, 1, 2, -1])
    assert taught(SpreadLabels(), X, few, 3).log_shares_ is None
    few[2] = 0
    few[4] = 1
    X = np.append(X, [[1.5]], axis=0).astype(np.float32)
    assert taught(SpreadLabels(), X, np.append(few, -1), 3).log_shares_ is not None


@pytest.mark.parametrize("end", [0, 5, 7])
def test_end_before_the_start_is_refused(digits, end):
    with pytest.raises(ValueError, match=f"'end' parameter .* Got end={end} and start=7"):
        fit(digits, regularizer=SpreadLabels(start=7, end=end))


def test_labels_do_not_spread_again_after_the_end(digits, monkeypatch):
    prepared = []
    monkeypatch.setattr(SpreadLabels, "start_training", lambda self, *args: prepared.append(self))
    monkeypatch.setattr(SpreadLabels, "loss", lambda self, unlabeled: unlabeled.logits.sum() * 0)
    classifier = fit(digits, regularizer=SpreadLabels(end=20), max_epochs=1, warm_start=True)
    assert len(prepared) == 1
    assert 10 < classifier.n_steps_ < 20
    for n_preparations in (2, 2):  # the second fit makes the step 20
        classifier.fit(*digits)
        assert len(prepared) == n_preparations


def test_nothing_spreads_without_unlabeled_rows_or_without_labels_of_a_class():
    X, y, few = two_moons()
    assert taught(SpreadLabels(), X, few, 3).log_shares_ is None  # as in parts of the rows
    assert taught(SpreadLabels(), X, y, 2).log_shares_ is None
    assert taught(SpreadLabels(), X, np.where(few == 1, -1, few), 2).log_shares_ is None
    assert taught(SpreadLabels(weight=0), X, few, 2).log_shares_ is None


def patch_features(images, seed=0):
    rows = torch.from_numpy(images)
    return PatchFeatures(rows, seed).transform(np.arange(len(rows)))


@pytest.fixture(scope="module")
def strokes():
    """Return images of a horizontal or a vertical line at a random place, and their classes."""
    rng = np.random.RandomState(0)
    images, y = rng.uniform(0, 0.2, size=(160, 1, 12, 12)), np.arange(160) % 2
    for image, code in zip(images[:, 0], y, strict=True):
        place, start = rng.randint(12), rng.randint(5)
        line = (place, slice(start, start + 7))
        image[line if code == 0 else line[::-1]] = 1
    return images.astype(np.float32), y


def test_features_of_patches_describe_images(strokes):
    images, y = strokes
    features = patch_features(images)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(features, patch_features(images))

    def accuracy(rows):
        return KNeighborsClassifier(3).fit(rows[:40], y[:40]).score(rows[40:], y[40:])

    assert accuracy(features) > 0.9 > accuracy(images.reshape(160, -1))


def test_activations_of_patches(strokes):
    images, _ = strokes
    features = PatchFeatures(torch.from_numpy(images * 5 - 2), 0)  # any range of pixels
    centers, side = features._centers.numpy(), 6
    maps = np.empty((7, 7, len(centers)))
    for i, j in np.ndindex(7, 7):
        patch = images[3, 0, i : i + side, j : j + side].ravel().astype(np.float64)
        pixels = (patch - images.min()) / (images.max() - images.min())
        normal = (pixels - pixels.mean()) / np.sqrt(pixels.var() + 0.01)
        white = (normal - features._mean.numpy()) @ features._whitening.numpy()
        distances = np.linalg.norm(white - centers, axis=1)
        maps[i, j] = np.maximum(distances.mean() - distances, 0)
    # Seven rows and columns in three overlapping parts, as torch's adaptive pooling has them.
    parts = [slice(0, 3), slice(2, 5), slice(4, 7)]
    grid = [[maps[rows, columns].mean(axis=(0, 1)) for columns in parts] for rows in parts]
    expected = np.sqrt(np.transpose(grid, (2, 0, 1)).ravel())
    np.testing.assert_allclose(features._activations(np.array([3]))[0], expected, atol=2e-3)


def test_patches_and_features_are_whitened(rng):
    features = PatchFeatures(torch.from_numpy(rng.uniform(size=(700, 1, 12, 12))).float(), 0)
    patches, _ = features._patches(features._images(np.arange(700)))
    patches = patches.flatten(0, 1)
    variances = torch.linalg.eigvalsh(torch.cov(patches.T))
    whitened = torch.linalg.eigvalsh(torch.cov(features._whiten(patches).T))
    np.testing.assert_allclose(whitened, variances / (variances + 0.1), atol=0.05)
    reduced = features._pca.transform(features._activations(np.arange(700)))
    assert reduced.shape == (700, 60)
    np.testing.assert_allclose(reduced.std(axis=0), 1, rtol=0.01)


def test_features_do_not_depend_on_the_parts(strokes, monkeypatch):
    images, _ = strokes
    whole = patch_features(images)
    monkeypatch.setattr("sgan_sklearn.regularizers._patches.PATCHES_AT_A_TIME", 500)
    np.testing.assert_allclose(patch_features(images), whole, atol=1e-3)


@pytest.mark.parametrize(
    ("size", "reduced"),
    [
        ((28, 28), (28, 28)),
        ((32, 32), (32, 32)),
        ((24, 42), (24, 42)),
        ((64, 64), (32, 32)),
        ((96, 24), (64, 16)),
        ((2, 2_048), (2, 1_024)),
        ((24, 13_000), (8, 745)),
    ],
)
def test_size_of_larger_images(size, reduced):
    assert reduced_size(*size) == reduced


def test_larger_images_have_the_features_of_smaller_ones(rng):
    images = rng.uniform(size=(30, 3, 32, 32)).astype(np.float32)
    larger = images.repeat(3, axis=2).repeat(3, axis=3)
    np.testing.assert_allclose(patch_features(larger), patch_features(images), atol=1e-2)
    halves = torch.nn.functional.interpolate(torch.from_numpy(larger), (48, 48), mode="area")
    assert patch_features(halves.numpy()).shape == patch_features(images).shape


@pytest.mark.parametrize("size", [(1, 40), (2, 2_048), (24, 3_000)])
def test_labels_spread_among_narrow_images(rng, size):
    images = rng.uniform(size=(12, 1, *size)).astype(np.float32)
    y = np.where(np.arange(12) < 4, np.arange(12) % 2, -1)
    found = taught(SpreadLabels(), images, y, 2).log_shares_
    if size[0] == 1:  # patches of a single pixel are equal
        assert found is None
    else:
        assert torch.isfinite(found).all()


def test_few_images_differ(rng):
    assert len(np.unique(patch_features(rng.uniform(size=(12, 1, 8, 8))), axis=0)) == 12


@pytest.mark.parametrize("shape", [(3, 1, 2, 9), (40, 3, 8, 5), (5, 2, 6, 6)])
def test_features_of_few_and_small_images(rng, shape):
    with ignore_fit_warnings():
        features = patch_features(rng.uniform(size=shape))
        constant = patch_features(np.ones(shape))
    assert len(features) == len(constant) == shape[0]
    assert np.isfinite(features).all()
    assert np.isfinite(constant).all()


def test_labels_spread_among_images(strokes):
    images, y = strokes
    few = np.where(np.arange(160) < 20, y, -1)
    shares = taught(SpreadLabels(), images, few, 2).log_shares_
    assert (shares.argmax(dim=1).numpy() == y).mean() > 0.9


class Flagged(LogisticRegression):
    """Linear model on a BLAS that reports invalid values in products of finite numbers."""

    def fit(self, X, y, sample_weight=None):
        np.zeros(1) / np.zeros(1)
        return super().fit(X, y, sample_weight)

    def predict_proba(self, X):
        np.zeros(1) / np.zeros(1)
        return super().predict_proba(X)


@pytest.mark.parametrize(
    "params",
    [
        {"regularizer": ClassPrior(), "ensemble": None},
        {"regularizer": Distillation(Flagged(), adaptive=False), "ensemble": None},
        {"regularizer": None, "ensemble": [Flagged()]},
    ],
    ids=["class_prior", "distillation", "ensemble"],
)
def test_simple_classifiers_may_report_invalid_values(rng, params, monkeypatch):
    monkeypatch.setattr("sklearn.linear_model.LogisticRegression", Flagged)
    with pytest.warns(RuntimeWarning, match="invalid value"):
        Flagged().fit([[0.0], [1.0]], [0, 1])
    noise = rng.normal(size=(60, 3)), np.where(np.arange(60) < 20, np.arange(60) % 2, -1)
    assert np.isfinite(fit(noise, **params).label_distributions_).all()


# --- in the classifier --------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True, n_class=3)
    few = np.full(len(y), -1)
    few[:15] = y[:15]
    return X, few


def fit(digits, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu"} | params
    return SGANClassifier(**params).fit(*digits)


@each_regularizer
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_each_objective_works_with_each_regularizer(rng, objective, name):
    rows = rng.normal(size=(40, 3)), np.where(np.arange(40) < 10, np.arange(40) % 2, -1)
    params = {
        "objective": objective,
        "regularizer": REGULARIZERS[name](),
        "architecture": MLPArchitecture((8,), (8,)),
        "max_epochs": 3,  # the weights of some increase from zero
        "ensemble": None,
    }
    if (objective, name) == ("complement", "entropy"):  # which the objective has itself
        with pytest.raises(ValueError, match="leave it out if it is the same term"):
            fit(rows, **params)
    else:
        assert np.isfinite(fit(rows, **params).label_distributions_).all()


@each_regularizer
def test_term_is_recorded_and_changes_the_model(digits, name):
    always = {"adaptive": False} if name == "distillation" else {}  # digits need no teacher
    with_it = fit(digits, regularizer=REGULARIZERS[name](ramp_up=0, **always))
    without = fit(digits, regularizer=None)
    assert np.isfinite(with_it.history_[-1][name])
    assert name not in without.history_[-1]
    assert not np.array_equal(with_it.label_distributions_, without.label_distributions_)


@each_regularizer
def test_name_means_the_default_instance(digits, name):
    by_name = fit(digits, regularizer=name)
    by_instance = fit(digits, regularizer=REGULARIZERS[name]())
    np.testing.assert_array_equal(by_name.label_distributions_, by_instance.label_distributions_)
    (used,) = by_name.net_.regularizers
    assert repr(used) == repr(by_instance.net_.regularizers[0])


def test_auto_for_tables(digits):
    auto = fit(digits)
    listed = fit(digits, regularizer=["virtual_adversarial", ClassPrior(), "distillation"])
    np.testing.assert_array_equal(auto.label_distributions_, listed.label_distributions_)
    assert list(map(repr, auto.net_.regularizers)) == list(map(repr, listed.net_.regularizers))


def test_auto_with_class_weight_omits_terms_based_on_class_shares(digits):
    weighted = fit(digits, class_weight="balanced").history_[-1]
    assert "virtual_adversarial" in weighted
    assert "class_prior" not in weighted
    assert "distillation" not in weighted


@pytest.mark.parametrize("twice", [["entropy", "entropy"], ("entropy", ConditionalEntropy())])
def test_two_terms_with_one_name_are_refused(digits, twice):
    with pytest.raises(ValueError, match="two terms of one name"):
        fit(digits, regularizer=twice)


@pytest.mark.parametrize("name", ["loss", "supervised", "entropy"])
def test_name_of_a_term_of_the_objective_is_refused(digits, name):
    class Own(ConditionalEntropy):
        pass

    Own.name = name
    with pytest.raises(ValueError, match=f"name of Own .* Got '{name}'"):
        fit(digits, regularizer=Own(), objective="complement")


def test_custom_regularizer_keeps_its_prepared_state(digits):
    class Own(ConditionalEntropy):
        def prepare(self, rows, codes, n_classes):
            ready = clone(self)
            ready.mean_ = float(rows.mean())
            return ready

        def loss(self, unlabeled):
            return super().loss(unlabeled) + self.mean_

    classifier = fit(digits, regularizer=Own(), warm_start=True)
    assert "entropy" in classifier.fit(*digits).history_[-1]


def test_custom_regularizer_needs_only_a_loss(digits):
    class Own(Regularizer):
        def loss(self, unlabeled):
            return unlabeled.logits.square().mean()

    assert fit(digits, regularizer=[Own(), "entropy"]).history_[-1]["regularizer"] > 0


def test_loss_is_weighted_by_ramp_weight_and_unsupervised_weight(digits):
    """The recorded loss is the sum of the recorded terms with their factors."""
    last = fit(
        digits, regularizer=ConditionalEntropy(weight=0.7, ramp_up=0), unsupervised_weight=0.4
    ).history_[-1]
    expected = last["supervised"] + 0.4 * (
        0.5 * (last["real"] + last["generated"]) + 0.7 * last["entropy"]
    )
    assert last["discriminator_loss"] == pytest.approx(expected, rel=1e-5)


def test_no_regularizer_without_unlabeled_rows(digits):
    twin = fit(digits, unsupervised_weight=0, regularizer="entropy")
    assert "entropy" not in twin.history_[-1]


def test_nested_parameters_can_be_set():
    clf = SGANClassifier(regularizer=VirtualAdversarial())
    assert clf.set_params(regularizer__eps=0.3).regularizer.eps == 0.3


@pytest.mark.parametrize("wrong", ["entropi", ["entropi"], [3], "vat", VirtualAdversarial])
def test_invalid_regularizer_is_refused(digits, wrong):
    with pytest.raises(ValueError, match="'regularizer' parameter of SGANClassifier"):
        fit(digits, regularizer=wrong)


@pytest.mark.parametrize(
    "wrong", [VirtualAdversarial(eps=0), PseudoLabel(threshold=2), Consistency(weight=-1)]
)
def test_invalid_option_of_a_regularizer_is_refused(digits, wrong):
    with pytest.raises(ValueError, match=f"parameter of {type(wrong).__name__}"):
        fit(digits, regularizer=wrong)


def test_a_loss_for_each_row_is_refused_by_name(make_classifier, data):
    class PerRow(Regularizer):
        name = "per_row"

        def __init__(self, weight=1.0, ramp_up=0):
            self.weight = weight
            self.ramp_up = ramp_up

        def loss(self, unlabeled):
            return unlabeled.classify_noisy(unlabeled.rows).square().mean(dim=1)

    with pytest.raises(TypeError, match=r"PerRow\.loss must be .* \(20,\)\. Take the mean"):
        make_classifier(regularizer=PerRow()).fit(*data)
