"""The objective is the published one, and the weighted sum of whatever terms it is given."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mzsane.losses import (
    LatentNorm,
    LatentVariance,
    MaskedReconstruction,
    NTXent,
    SaneLoss,
    Step,
    Term,
)

GOLDEN = Path(__file__).parents[2] / "golden"


def published_step():
    golden = load_file(GOLDEN / "loss_inputs.safetensors")
    places = torch.zeros(golden["mask"].shape[:2], dtype=torch.int64)
    return Step(
        prediction=golden["prediction"],
        target=golden["target"],
        mask=golden["mask"].bool(),
        layer=places,
        segment=places,
        latents=golden["prediction"],
        projections=torch.stack([golden["z_i"], golden["z_j"]], 1),
        encode=lambda tokens: tokens,
    )


def objective(**settings):
    return SaneLoss(MaskedReconstruction("batch"), NTXent(0.1), **settings)


def test_the_sum_equals_the_published_value():
    parts = objective(gamma=0.05)(published_step())
    expected = json.loads((GOLDEN / "golden.json").read_text())["combined_gamma0.05_T0.1"]
    assert parts["loss"].item() == pytest.approx(expected["loss/loss"], rel=1e-6)
    assert parts["contrastive"].item() == pytest.approx(expected["loss/loss_contrast"], rel=1e-6)
    assert parts["reconstruction"].item() == pytest.approx(expected["loss/loss_recon"], rel=1e-6)


def test_terms_are_added_with_their_weights_and_reported_without():
    step = published_step()
    terms = {"norm": Term(LatentNorm(), 0.25), "variance": Term(LatentVariance(5.0), 3.0)}
    parts, plain = objective(terms=terms)(step), objective()(step)
    norm, variance = LatentNorm()(step), LatentVariance(5.0)(step)
    torch.testing.assert_close(parts["loss"], plain["loss"] + 0.25 * norm + 3 * variance)
    assert torch.equal(parts["norm"], norm)
    assert torch.equal(parts["variance"], variance)


def test_a_term_without_weight_changes_nothing_and_is_not_computed():
    class Costly(torch.nn.Module):
        def forward(self, step):
            raise AssertionError

    found = objective(terms={"costly": Term(Costly(), 0.0)})(published_step())
    expected = objective()(published_step())
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("gamma", [-0.1, 1.1])
def test_weights_outside_of_zero_to_one_are_refused(gamma):
    with pytest.raises(ValueError, match="between 0 and 1"):
        objective(gamma=gamma)


def test_negative_weights_of_terms_are_refused():
    with pytest.raises(ValueError, match=r"weight -1\.0 of LatentNorm: must not be negative"):
        Term(LatentNorm(), -1.0)


@pytest.mark.parametrize("name", ["loss", "reconstruction", "contrastive"])
def test_a_term_does_not_hide_a_part_of_the_same_name(name):
    with pytest.raises(ValueError, match=rf"terms\.{name}: a part has this name already"):
        objective(terms={name: Term(LatentNorm(), 1.0)})


def test_validation_contrasts_only_windows_that_hold_weights():
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(6, 4, 5, generator=generator)
    mask = torch.ones(6, 4, 5, dtype=torch.bool)
    mask[4:] = False  # both views of the last sample
    projections = torch.randn(3, 2, 7, generator=generator)
    places = torch.zeros(6, 4, dtype=torch.int64)
    step = Step(0 * target, target, mask, places, places, target, projections, lambda x: x)
    kept = NTXent(0.1)(projections[:2, 0], projections[:2, 1])
    everything = NTXent(0.1)(projections[:, 0], projections[:, 1])
    torch.testing.assert_close(objective().eval()(step)["contrastive"], kept)
    torch.testing.assert_close(objective().train()(step)["contrastive"], everything)
    assert not torch.isclose(kept, everything)
