"""Contracts of all objectives in the registry, then closed forms of each."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn
from torch.nn import functional as F

from sgan_sklearn._data.batches import Batch
from sgan_sklearn.architectures import Discriminator, MLPArchitecture
from sgan_sklearn.objectives import (
    OBJECTIVES,
    Complement,
    FeatureMatching,
    Objective,
    Softmax,
    Stacked,
    Supervised,
    TwoHeaded,
)
from sgan_sklearn.samplers import CriticSampler

N_CLASSES, N_FEATURES = 3, 6

each_objective = pytest.mark.parametrize("name", OBJECTIVES)
each_adversarial_objective = pytest.mark.parametrize(
    "name", [name for name, objective in OBJECTIVES.items() if objective.uses_generator]
)
each_parameter = pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name in OBJECTIVES for parameter in OBJECTIVES[name]().get_params()],
)


def make_discriminator(objective, n_classes=N_CLASSES):
    n_outputs = objective.n_outputs(n_classes)
    return MLPArchitecture((8, 8)).build_discriminator((N_FEATURES,), n_outputs)


def make_batch(weights=None):
    return Batch(
        labeled=torch.randn(4, N_FEATURES),
        codes=torch.tensor([0, 1, 2, 0]),
        unlabeled=torch.randn(7, N_FEATURES),
        real=torch.randn(7, N_FEATURES),
        unlabeled_indices=torch.arange(7),
        weights=weights,
    )


def losses_of(objective, kind, discriminator, batch, generated):
    """Call one of the three losses by name."""
    match kind:
        case "supervised_loss":
            return objective.supervised_loss(discriminator, batch)
        case "discriminator_loss":
            return objective.discriminator_loss(discriminator, batch, generated, 1.0)
        case "generator_loss":
            return objective.generator_loss(discriminator, batch, generated)


each_loss = pytest.mark.parametrize(
    "kind", ["supervised_loss", "discriminator_loss", "generator_loss"]
)


@each_objective
def test_registered_class_is_an_objective(name):
    assert issubclass(OBJECTIVES[name], Objective)


@each_objective
def test_clone_and_get_params(name):
    objective = OBJECTIVES[name]()
    copied = clone(objective)
    assert copied is not objective
    assert copied.get_params() == objective.get_params()
    assert set(objective._parameter_constraints) == set(objective.get_params())
    objective._validate_params()


@each_parameter
def test_bad_parameter_is_named(name, parameter):
    objective = OBJECTIVES[name]().set_params(**{parameter: object()})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter of {type(objective).__name__}"):
        objective._validate_params()


@each_parameter
def test_bad_parameter_is_named_by_fit(name, parameter, make_classifier, data):
    classifier = make_classifier(objective=OBJECTIVES[name]())
    classifier.set_params(**{f"objective__{parameter}": object()})
    with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
        classifier.fit(*data)


TINY = 1e-9


@pytest.mark.parametrize(
    ("name", "parameter", "accepted", "refused"),
    [
        ("complement", "entropy_weight", [0, TINY, 100], [-TINY]),
        ("complement", "pull_away_weight", [0, TINY, 100], [-TINY]),
        ("stacked", "label_smoothing", [0, TINY, 0.5 - TINY], [-TINY, 0.5]),
        ("two_headed", "validity_weight", [TINY, 100], [0, -TINY]),
        ("two_headed", "generated_class_weight", [0, TINY, 100], [-TINY]),
    ],
)
def test_limits_of_numbers(name, parameter, accepted, refused):
    for value in accepted:
        OBJECTIVES[name](**{parameter: value})._validate_params()
    for value in refused:
        with pytest.raises(ValueError, match=f"'{parameter}' parameter"):
            OBJECTIVES[name](**{parameter: value})._validate_params()


@pytest.mark.parametrize("n_classes", [1, 2, 5])
@each_objective
def test_outputs(name, n_classes):
    objective = OBJECTIVES[name]()
    assert objective.n_outputs(n_classes) >= n_classes
    outputs = make_discriminator(objective, n_classes)(torch.randn(7, N_FEATURES))
    assert objective.class_logits(outputs).shape == (7, n_classes)
    realness = objective.realness(outputs)
    assert realness.shape == (7,)
    assert realness.isfinite().all()


@each_loss
@each_objective
def test_losses_are_finite_scalars(name, kind):
    objective = OBJECTIVES[name]()
    generated = torch.randn(9, N_FEATURES)
    losses = losses_of(objective, kind, make_discriminator(objective), make_batch(), generated)
    assert "loss" in losses
    for term in losses.values():
        assert term.shape == ()
        assert term.isfinite()


@each_objective
def test_terms_of_the_two_networks_have_different_names(name):
    objective = OBJECTIVES[name]()
    discriminator, batch = make_discriminator(objective), make_batch()
    generated = torch.randn(9, N_FEATURES)
    ours = objective.discriminator_loss(discriminator, batch, generated, 1.0).keys()
    theirs = objective.generator_loss(discriminator, batch, generated).keys()
    assert ours & theirs == {"loss"}
    taken = {"epoch", "dur", "batches", "discriminator_loss", "generator_loss"}
    assert not (ours | theirs) & taken


@pytest.mark.parametrize("kind", ["supervised_loss", "discriminator_loss"])
@each_objective
def test_gradient_reaches_all_weights_of_the_discriminator(name, kind):
    objective = OBJECTIVES[name]()
    discriminator = make_discriminator(objective)
    losses = losses_of(objective, kind, discriminator, make_batch(), torch.randn(9, N_FEATURES))
    losses["loss"].backward()
    for weight in discriminator.parameters():
        assert weight.grad.isfinite().all()
        assert weight.grad.any()


@each_objective
def test_generator_loss_has_gradients_of_the_generator_only(name):
    objective = OBJECTIVES[name]()
    discriminator = make_discriminator(objective).requires_grad_(False)
    generator = nn.Linear(2, N_FEATURES)
    generated = generator(torch.randn(9, 2))
    objective.generator_loss(discriminator, make_batch(), generated)["loss"].backward()
    for weight in generator.parameters():
        assert weight.grad.isfinite().all()
        assert weight.grad.any()
    assert all(weight.grad is None for weight in discriminator.parameters())


@each_loss
@each_objective
def test_one_row_of_each_kind(name, kind):
    objective = OBJECTIVES[name]()
    row = torch.randn(1, N_FEATURES)
    batch = Batch(row, torch.tensor([1]), row, row, unlabeled_indices=torch.tensor([0]))
    losses = losses_of(objective, kind, make_discriminator(objective), batch, row)
    assert losses["loss"].isfinite()


@each_adversarial_objective
def test_unsupervised_weight_scales_the_unsupervised_part(name):
    objective = OBJECTIVES[name]()
    discriminator, batch = make_discriminator(objective).eval(), make_batch()
    generated = torch.randn(9, N_FEATURES)
    zero, one, three = (
        objective.discriminator_loss(discriminator, batch, generated, weight)["loss"]
        for weight in (0.0, 1.0, 3.0)
    )
    torch.testing.assert_close(three - zero, 3 * (one - zero))
    assert one != zero


@each_objective
def test_supervised_loss_is_the_discriminator_loss_without_the_rest(name):
    objective = OBJECTIVES[name]()
    discriminator = make_discriminator(objective).eval()
    batch, generated = make_batch(torch.tensor([0.1, 2.0, 3.0, 0.5])), torch.randn(9, N_FEATURES)
    alone = objective.supervised_loss(discriminator, batch)
    weightless = objective.discriminator_loss(discriminator, batch, generated, 0.0)
    torch.testing.assert_close(alone["loss"], weightless["loss"])


@each_objective
def test_weights_multiply_the_cost_of_each_labeled_row(name):
    objective = OBJECTIVES[name]()
    discriminator, batch = make_discriminator(objective).eval(), make_batch()
    rows = [
        batch._replace(labeled=batch.labeled[[i]], codes=batch.codes[[i]])
        for i in range(len(batch.codes))
    ]
    costs = torch.stack([objective.supervised_loss(discriminator, row)["loss"] for row in rows])
    weights = torch.tensor([0.0, 2.0, 3.0, 0.5])
    loss = objective.supervised_loss(discriminator, batch._replace(weights=weights))["loss"]
    torch.testing.assert_close(loss, (weights * costs).sum() / len(costs))


@each_objective
def test_weights_of_labeled_rows_do_not_change_other_terms(name):
    objective = OBJECTIVES[name]()
    discriminator, batch = make_discriminator(objective).eval(), make_batch()
    generated = torch.randn(9, N_FEATURES)
    plain, weighted = (
        objective.discriminator_loss(discriminator, batch._replace(weights=weights), generated, 1.0)
        for weights in (None, torch.tensor([0.0, 2.0, 3.0, 0.5]))
    )
    difference = weighted["supervised"] - plain["supervised"]
    assert difference != 0
    torch.testing.assert_close(weighted["loss"] - plain["loss"], difference)


@each_adversarial_objective
def test_discriminator_sees_all_rows_in_one_pass(name):
    objective = OBJECTIVES[name]()
    discriminator, batch = make_discriminator(objective), make_batch()
    sizes = []
    discriminator.register_forward_hook(lambda module, args, outputs: sizes.append(len(outputs)))
    objective.discriminator_loss(discriminator, batch, torch.randn(9, N_FEATURES), 1.0)
    assert sizes == [4 + 7 + 9]


@pytest.mark.parametrize("n_classes", [1, 2, 3])
@each_objective
def test_probabilities_end_to_end(name, n_classes, make_classifier, data, labels):
    X, y = data
    y = np.where(y == -1, -1, labels % n_classes + 5)
    classifier = make_classifier(objective=name).fit(X, y)
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    for record in classifier.history_:
        assert np.isfinite(list(record.values())).all()


@each_objective
def test_learning(name, make_learner, data, labels):
    X, y = data
    assert make_learner(objective=name).fit(X, y).score(X, labels) > 0.9


@pytest.mark.parametrize("batch_size", [1, 2])
@each_objective
def test_smallest_batches(name, batch_size, make_classifier, data):
    X, y = data
    classifier = make_classifier(objective=name, batch_size=batch_size, max_epochs=1).fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()


@each_objective
def test_training_end_to_end(name, make_classifier, data):
    X, y = data
    by_name = make_classifier(objective=name).fit(X, y)
    by_instance = make_classifier(objective=OBJECTIVES[name]()).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_instance.predict_proba(X))
    again = copy.deepcopy(by_name)
    np.testing.assert_array_equal(by_name.predict_proba(X), again.predict_proba(X))
    if OBJECTIVES[name].uses_generator:
        assert np.isfinite(by_name.score_samples(X)).all()
        assert np.isfinite(by_name.sample(5)).all()


# --- without a generator ----------------------------------------------------------------------


def test_supervised_with_regularizers_has_no_adversarial_terms(make_classifier, data):
    regularizers = ["entropy", "class_prior"]
    classifier = make_classifier(objective="supervised", regularizer=regularizers).fit(*data)
    terms = {"epoch", "dur", "supervised", "entropy", "class_prior", "discriminator_loss"}
    assert all(record.keys() == terms for record in classifier.history_)
    last = classifier.history_[-1]
    assert last["entropy"] > 0
    assert not classifier.net_.generator_optimizer_.state


def test_regularizers_of_a_supervised_training_have_the_unsupervised_weight(make_classifier, data):
    params = {"objective": "supervised", "regularizer": "entropy"}
    models = [
        make_classifier(**params, unsupervised_weight=weight).fit(*data).predict_proba(data[0])
        for weight in (0.0, 1.0, 3.0)
    ]
    assert not np.array_equal(models[0], models[1])
    assert not np.array_equal(models[1], models[2])


def test_supervised_without_regularizers_is_the_training_on_the_labels_alone(make_classifier, data):
    X, y = data
    alone = make_classifier(unsupervised_weight=0, regularizer=None).fit(X, y)
    for weight in (0.0, 1.0):
        supervised = make_classifier(
            objective="supervised", unsupervised_weight=weight, regularizer=None
        ).fit(X, y)
        np.testing.assert_array_equal(supervised.predict_proba(X), alone.predict_proba(X))


@pytest.mark.parametrize("method", ["sample", "score_samples"])
def test_methods_that_need_a_generator_name_the_objective(method, make_classifier, data):
    classifier = make_classifier(objective=Supervised()).fit(*data)
    arguments = {"sample": (), "score_samples": (data[0],)}[method]
    match = f"{method} needs a trained generator, but the objective Supervised trains none"
    with pytest.raises(ValueError, match=match):
        getattr(classifier, method)(*arguments)


def test_sampler_replaces_the_generator(make_classifier, data):
    sampler = CriticSampler((16,), (16,), max_epochs=1)
    classifier = make_classifier(objective="supervised", sampler=sampler).fit(*data)
    assert np.isfinite(classifier.sample(5, random_state=0)).all()


def test_custom_objectives_may_use_no_generator(make_classifier, data):
    class Weighted(Objective):
        uses_generator = False

        def supervised_loss(self, discriminator, batch):
            loss = super().supervised_loss(discriminator, batch)["loss"]
            return {"loss": 2 * loss, "supervised": loss}

    last = make_classifier(objective=Weighted(), regularizer=None).fit(*data).history_[-1]
    assert last["discriminator_loss"] == pytest.approx(2 * last["supervised"])
    assert "generator_loss" not in last


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        ({"other": torch.zeros(())}, r"'loss' is minimized. Got \['other'\]"),
        (torch.zeros(()), "must return a dict of losses, .* Got Tensor"),
        ({"loss": torch.zeros(5)}, r"The term 'loss' .* shape \(\), .* Got shape \(5,\)"),
        ({"loss": torch.zeros(()), "more": 0.5}, "The term 'more' .* Got float"),
    ],
)
@pytest.mark.parametrize("method", ["discriminator_loss", "generator_loss", "supervised_loss"])
def test_losses_of_another_form_are_refused_by_name(make_classifier, data, method, returned, got):
    own = type("Own", (FeatureMatching,), {method: lambda *args: returned})()
    weight = 0.0 if method == "supervised_loss" else 1.0
    classifier = make_classifier(objective=own, unsupervised_weight=weight)
    with pytest.raises(TypeError, match=rf"Own\.{method}.*{got}" if "term" not in got else got):
        classifier.fit(*data)
    assert not hasattr(classifier, "classes_")


def test_outputs_without_a_logit_of_each_class_are_refused(make_classifier, data):
    class Own(FeatureMatching):
        def n_outputs(self, n_classes):
            return n_classes + 2

    with pytest.raises(ValueError, match=r"Own\.class_logits must return one column .* \(2, 5\)"):
        make_classifier(objective=Own()).fit(*data)


# --- closed forms -----------------------------------------------------------------------------


class FixedDiscriminator(Discriminator):
    """Discriminator whose features are its input and whose outputs are a linear map of them."""

    def __init__(self, n_outputs=N_CLASSES):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(N_FEATURES, n_outputs, dtype=torch.float64))

    def forward_features(self, x):
        return x

    def forward_head(self, features):
        return features @ self.weight


def make_doubles(objective):
    """Return a discriminator, a batch and generated rows in float64."""
    batch = make_batch(torch.tensor([0.5, 2.0, 1.0, 3.0]))
    batch = Batch(
        *(part if part is None or not part.is_floating_point() else part.double() for part in batch)
    )
    generated = torch.randn(9, N_FEATURES, dtype=torch.float64)
    return FixedDiscriminator(objective.n_outputs(N_CLASSES)), batch, generated


@pytest.fixture
def doubles():
    """Return a discriminator of K outputs, an unweighted batch and generated rows in float64."""
    discriminator, batch, generated = make_doubles(FeatureMatching())
    return discriminator, batch._replace(weights=None), generated


def weighted_cross_entropy(logits, batch):
    costs = F.cross_entropy(logits, batch.codes, reduction="none")
    return (costs * batch.weights).sum() / len(costs)


def binary_cross_entropy(log_odds, target):
    return F.binary_cross_entropy_with_logits(log_odds, torch.full_like(log_odds, target))


def codes_of_generated(rows):
    return torch.full((len(rows),), N_CLASSES)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_stacked_discriminator_loss(smoothing, weight):
    objective = Stacked(label_smoothing=smoothing)
    discriminator, batch, generated = make_doubles(objective)
    losses = objective.discriminator_loss(discriminator, batch, generated, weight)
    supervised = weighted_cross_entropy(discriminator(batch.labeled), batch)
    # The unsupervised head as it is written: D = Z / (Z + 1).
    z = [discriminator(rows).exp().sum(dim=1) for rows in (batch.unlabeled, generated)]
    d = [part / (part + 1) for part in z]
    real = F.binary_cross_entropy(d[0], torch.full_like(d[0], 1 - smoothing))
    generated_loss = F.binary_cross_entropy(d[1], torch.zeros_like(d[1]))
    torch.testing.assert_close(losses["real"], real)
    torch.testing.assert_close(losses["generated"], generated_loss)
    torch.testing.assert_close(losses["loss"], supervised + weight * (real + generated_loss) / 2)


def test_stacked_generator_loss():
    objective = Stacked(label_smoothing=0.2)  # one-sided: not for the generator
    discriminator, batch, generated = make_doubles(objective)
    z = discriminator(generated).exp().sum(dim=1)
    loss = objective.generator_loss(discriminator, batch, generated)["loss"]
    torch.testing.assert_close(loss, -torch.log(z / (z + 1)).mean())


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_softmax_discriminator_loss(weight):
    discriminator, batch, generated = make_doubles(Softmax())
    losses = Softmax().discriminator_loss(discriminator, batch, generated, weight)
    supervised = weighted_cross_entropy(discriminator(batch.labeled), batch)
    p_generated = discriminator(batch.unlabeled).softmax(dim=1)[:, -1]
    real = -torch.log(1 - p_generated).mean()
    generated_loss = F.cross_entropy(discriminator(generated), codes_of_generated(generated))
    torch.testing.assert_close(losses["supervised"], supervised)
    torch.testing.assert_close(losses["real"], real)
    torch.testing.assert_close(losses["generated"], generated_loss)
    torch.testing.assert_close(losses["loss"], supervised + weight * (real + generated_loss) / 2)


def test_softmax_generator_loss():
    discriminator, batch, generated = make_doubles(Softmax())
    p_generated = discriminator(generated).softmax(dim=1)[:, -1]
    loss = Softmax().generator_loss(discriminator, batch, generated)["loss"]
    torch.testing.assert_close(loss, -torch.log(1 - p_generated).mean())


@pytest.mark.parametrize("objective", [Softmax(), TwoHeaded()], ids=["softmax", "two_headed"])
def test_class_probabilities_are_conditional_on_real_rows(objective):
    outputs = torch.randn(5, objective.n_outputs(N_CLASSES), dtype=torch.float64)
    p = outputs[:, : N_CLASSES + 1].softmax(dim=1)
    expected = p[:, :N_CLASSES] / p[:, :N_CLASSES].sum(dim=1, keepdim=True)
    torch.testing.assert_close(objective.class_logits(outputs).softmax(dim=1), expected)


def test_softmax_realness_is_the_log_odds_of_not_being_generated():
    outputs = torch.randn(5, N_CLASSES + 1, dtype=torch.float64)
    p_generated = outputs.softmax(dim=1)[:, -1]
    expected = torch.log((1 - p_generated) / p_generated)
    torch.testing.assert_close(Softmax().realness(outputs), expected)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("validity_weight", "class_weight"), [(1.0, 1.0), (0.5, 0.0), (2.0, 3.0)])
def test_two_headed_discriminator_loss(validity_weight, class_weight, weight):
    objective = TwoHeaded(validity_weight, class_weight)
    discriminator, batch, generated = make_doubles(objective)
    losses = objective.discriminator_loss(discriminator, batch, generated, weight)
    supervised = weighted_cross_entropy(discriminator(batch.labeled)[:, :-1], batch)
    outputs = discriminator(generated)
    generated_class_loss = F.cross_entropy(outputs[:, :-1], codes_of_generated(generated))
    real = binary_cross_entropy(discriminator(batch.unlabeled)[:, -1], 1.0)
    generated_loss = binary_cross_entropy(outputs[:, -1], 0.0)
    torch.testing.assert_close(losses["generated_class"], generated_class_loss)
    torch.testing.assert_close(losses["real"], real)
    torch.testing.assert_close(losses["generated"], generated_loss)
    rest = (
        class_weight / N_CLASSES * generated_class_loss
        + validity_weight * (real + generated_loss) / 2
    )
    torch.testing.assert_close(losses["loss"], supervised + weight * rest)


def test_two_headed_label_head_weighs_by_inverse_frequency():
    # One labeled row of each class and K generated ones: weights 1 / frequency, up to a factor.
    objective = TwoHeaded()
    discriminator, batch, generated = make_doubles(objective)
    labeled, generated = batch.labeled[:N_CLASSES], generated[:N_CLASSES]
    batch = batch._replace(labeled=labeled, codes=torch.arange(N_CLASSES), weights=None)
    losses = objective.discriminator_loss(discriminator, batch, generated, 1.0)
    label_head = losses["loss"] - (losses["real"] + losses["generated"]) / 2
    logits = discriminator(torch.cat([labeled, generated]))[:, :-1]
    codes = torch.cat([batch.codes, codes_of_generated(generated)])
    weights = torch.tensor([1.0] * N_CLASSES + [1 / N_CLASSES], dtype=torch.float64)
    expected = F.cross_entropy(logits, codes, weight=weights, reduction="sum") / N_CLASSES
    torch.testing.assert_close(label_head, expected)


def test_two_headed_generator_fools_the_validity_head():
    discriminator, batch, generated = make_doubles(TwoHeaded())
    loss = TwoHeaded().generator_loss(discriminator, batch, generated)["loss"]
    validity = discriminator(generated)[:, -1]
    torch.testing.assert_close(loss, binary_cross_entropy(validity, 1.0))
    torch.testing.assert_close(TwoHeaded().realness(discriminator(generated)), validity)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("entropy_weight", [0.0, 0.4])
def test_complement_adds_the_entropy_of_unlabeled_rows(entropy_weight, weight):
    objective = Complement(entropy_weight=entropy_weight)
    discriminator, batch, generated = make_doubles(objective)
    losses = objective.discriminator_loss(discriminator, batch, generated, weight)
    base = FeatureMatching().discriminator_loss(discriminator, batch, generated, weight)
    logits = discriminator(batch.unlabeled)
    entropy = torch.distributions.Categorical(logits=logits).entropy().mean()
    torch.testing.assert_close(losses["entropy"], entropy)
    torch.testing.assert_close(losses["loss"], base["loss"] + weight * entropy_weight * entropy)


@pytest.mark.parametrize("norm", ["l1", "l2"])
@pytest.mark.parametrize("pull_away_weight", [0.0, 0.5])
def test_complement_adds_the_pull_away_term(pull_away_weight, norm):
    objective = Complement(pull_away_weight=pull_away_weight, norm=norm)
    discriminator, batch, generated = make_doubles(objective)
    losses = objective.generator_loss(discriminator, batch, generated)
    base = FeatureMatching(norm).generator_loss(discriminator, batch, generated)["loss"]
    n = len(generated)
    cosines = F.cosine_similarity(generated[:, None], generated[None, :], dim=2)
    pull_away = (cosines.square().sum() - n) / (n * (n - 1))
    torch.testing.assert_close(losses["feature_distance"], base)
    torch.testing.assert_close(losses["pull_away"], pull_away)
    torch.testing.assert_close(losses["loss"], base + pull_away_weight * pull_away)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_feature_matching_discriminator_loss(weight, doubles):
    discriminator, batch, generated = doubles
    losses = FeatureMatching().discriminator_loss(discriminator, batch, generated, weight)
    with torch.no_grad():
        labeled = discriminator(batch.labeled).log_softmax(dim=1)
        supervised = -labeled[torch.arange(4), batch.codes].mean()
        zero = torch.zeros(1, dtype=torch.float64)
        # The K+1 classes of the paper, the generated one last with a logit of zero.
        odds = [
            torch.cat([discriminator(rows), zero.expand(len(rows), 1)], dim=1).softmax(dim=1)
            for rows in (batch.unlabeled, generated)
        ]
        real = -torch.log(1 - odds[0][:, -1]).mean()
        fake = -torch.log(odds[1][:, -1]).mean()
    torch.testing.assert_close(losses["supervised"], supervised)
    torch.testing.assert_close(losses["real"], real)
    torch.testing.assert_close(losses["generated"], fake)
    expected = supervised + weight * 0.5 * (real + fake)
    torch.testing.assert_close(losses["loss"].detach(), expected)


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_feature_matching_generator_loss(norm, doubles):
    discriminator, batch, generated = doubles
    loss = FeatureMatching(norm=norm).generator_loss(discriminator, batch, generated)["loss"]
    gap = batch.real.mean(dim=0) - generated.mean(dim=0)
    expected = gap.abs().mean() if norm == "l1" else (gap**2).mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_feature_matching_uses_real_rows_of_another_batch(doubles):
    discriminator, batch, generated = doubles
    other = batch._replace(unlabeled=batch.unlabeled + 1, labeled=batch.labeled + 1)
    losses = [FeatureMatching().generator_loss(discriminator, b, generated) for b in (batch, other)]
    torch.testing.assert_close(losses[0]["loss"], losses[1]["loss"])


def test_feature_matching_realness_is_logsumexp():
    outputs = torch.randn(5, N_CLASSES)
    expected = torch.log(torch.exp(outputs).sum(dim=1))
    torch.testing.assert_close(FeatureMatching().realness(outputs), expected)
