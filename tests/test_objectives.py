"""Contracts that every objective in the registry keeps, then the closed forms of each."""

import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import nn

from sgan_sklearn import _losses
from sgan_sklearn._batches import Batch
from sgan_sklearn.architectures import Discriminator, MLPArchitecture
from sgan_sklearn.objectives import OBJECTIVES, FeatureMatching, Objective

N_CLASSES, N_FEATURES = 3, 6

each_objective = pytest.mark.parametrize("name", OBJECTIVES)
each_parameter = pytest.mark.parametrize(
    ("name", "parameter"),
    [(name, parameter) for name in OBJECTIVES for parameter in OBJECTIVES[name]().get_params()],
)


def make_discriminator(objective, n_classes=N_CLASSES):
    n_outputs = objective.n_outputs(n_classes)
    return MLPArchitecture((8, 8)).build_discriminator((N_FEATURES,), n_outputs)


def make_batch():
    return Batch(
        labeled=torch.randn(4, N_FEATURES),
        codes=torch.tensor([0, 1, 2, 0]),
        unlabeled=torch.randn(7, N_FEATURES),
        real=torch.randn(7, N_FEATURES),
    )


def losses_of(objective, kind, discriminator, batch, generated):
    """Call one of the three losses by its name."""
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
def test_terms_of_the_two_networks_have_names_of_their_own(name):
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
def test_gradient_reaches_only_the_generator_past_a_frozen_discriminator(name):
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
    batch = Batch(labeled=row, codes=torch.tensor([1]), unlabeled=row, real=row)
    losses = losses_of(objective, kind, make_discriminator(objective), batch, row)
    assert losses["loss"].isfinite()


@each_objective
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
def test_training_end_to_end(name, make_classifier, data):
    X, y = data
    by_name = make_classifier(objective=name).fit(X, y)
    by_instance = make_classifier(objective=OBJECTIVES[name]()).fit(X, y)
    np.testing.assert_array_equal(by_name.predict_proba(X), by_instance.predict_proba(X))
    assert np.isfinite(by_name.score_samples(X)).all()
    assert np.isfinite(by_name.sample(5)).all()
    again = copy.deepcopy(by_name)
    np.testing.assert_array_equal(by_name.predict_proba(X), again.predict_proba(X))


class FixedDiscriminator(Discriminator):
    """Discriminator whose features are its input and whose logits are a linear map of them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(N_FEATURES, N_CLASSES, dtype=torch.float64))

    def forward_features(self, x):
        return x

    def forward_head(self, features):
        return features @ self.weight


@pytest.fixture
def doubles():
    """Return a discriminator, a batch and generated rows in float64."""
    batch = make_batch()
    batch = Batch(*(part.double() if part.is_floating_point() else part for part in batch))
    return FixedDiscriminator(), batch, torch.randn(9, N_FEATURES, dtype=torch.float64)


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


def test_feature_matching_supervised_loss_is_its_discriminator_loss_without_the_rest(doubles):
    discriminator, batch, generated = doubles
    alone = FeatureMatching().supervised_loss(discriminator, batch)
    weightless = FeatureMatching().discriminator_loss(discriminator, batch, generated, 0.0)
    torch.testing.assert_close(alone["loss"], weightless["loss"])


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_feature_matching_generator_loss(norm, doubles):
    discriminator, batch, generated = doubles
    loss = FeatureMatching(norm=norm).generator_loss(discriminator, batch, generated)["loss"]
    gap = batch.real.mean(dim=0) - generated.mean(dim=0)
    expected = gap.abs().mean() if norm == "l1" else (gap**2).mean()
    torch.testing.assert_close(loss.detach(), expected)


def test_feature_matching_takes_real_rows_that_the_discriminator_has_not_just_seen(doubles):
    discriminator, batch, generated = doubles
    other = batch._replace(unlabeled=batch.unlabeled + 1, labeled=batch.labeled + 1)
    losses = [FeatureMatching().generator_loss(discriminator, b, generated) for b in (batch, other)]
    torch.testing.assert_close(losses[0]["loss"], losses[1]["loss"])


def test_feature_matching_realness_is_logsumexp():
    outputs = torch.randn(5, N_CLASSES)
    torch.testing.assert_close(FeatureMatching().realness(outputs), _losses.realness(outputs))
