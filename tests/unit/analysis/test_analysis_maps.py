"""Maps keep neighbourhoods; reconstruction is judged by weights alone."""

import warnings

import numpy as np
import pytest
import torch

from mzsane.analysis import Encoder, layer_fidelity, project, varying
from mzsane.analysis.fidelity import layer_sums
from mzsane.progress import silent


def clusters():
    rng = np.random.default_rng(0)
    return np.concatenate([rng.normal(centre, 0.1, size=(15, 6)) for centre in (0.0, 5.0)])


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_groups_stay_apart_on_a_map(method):
    points, axes = project(clusters(), method)
    within = np.linalg.norm(points[:15] - points[:15].mean(0), axis=1).max()
    apart = np.linalg.norm(points[:15].mean(0) - points[15:].mean(0))
    assert apart > 2 * within
    assert len(axes) == 2
    np.testing.assert_array_equal(points, project(clusters(), method)[0])


def test_pca_shows_the_direction_of_largest_variance():
    points, axes = project(clusters(), "pca")
    assert axes[0] == "component 1 (100 %)"
    assert points[:, 0].var() > points[:, 1].var()


def test_one_dimension_and_equal_embeddings_make_a_map():
    assert project(np.arange(5.0)[:, None], "pca")[0].shape == (5, 2)
    with warnings.catch_warnings(action="error"):  # users are told none of scikit-learn's
        assert np.isfinite(project(np.ones((5, 3)), "pca")[0]).all()


@pytest.mark.parametrize(
    ("rows", "method", "message"), [(5, "umap", "map=umap: choose from pca"), (2, "pca", "no map")]
)
def test_maps_that_cannot_be_drawn_are_refused(rows, method, message):
    with pytest.raises(ValueError, match=message):
        project(np.zeros((rows, 4)), method)


def test_colours_are_what_varies_or_what_is_asked_for():
    columns = {
        "optim::lr": np.array([1.0, 2.0]), "test_acc": np.array([0.1, 0.2]),
        "epoch": np.array([3, 3]), "model": np.array(["a", "b"]), "row": np.arange(2),
    }  # fmt: skip
    assert varying(columns) == ["test_acc", "optim::lr"]
    assert varying(columns, ["epoch"]) == ["epoch"]
    with pytest.raises(ValueError, match="colours: no checkpoint has lr; there is: epoch, model"):
        varying(columns, ["lr"])


def test_sums_of_layers_equal_a_loop_and_ignore_padding():
    generator = torch.Generator().manual_seed(0)
    weights, decoded = torch.randn(2, 3, 4, 5, generator=generator)
    mask = torch.rand(4, 5, generator=generator) < 0.6
    layers = torch.tensor([0, 1, 1, 0])
    found = layer_sums(weights, decoded, mask, layers, 2)
    for layer in range(2):
        entries = [
            (float(weights[m, t, d]), float(decoded[m, t, d]))
            for m in range(3)
            for t in range(4)
            for d in range(5)
            if mask[t, d] and layers[t] == layer
        ]
        assert found.count[layer] == len(entries)
        assert found.total[layer] == pytest.approx(sum(w for w, _ in entries))
        assert found.squares[layer] == pytest.approx(sum(w * w for w, _ in entries))
        assert found.errors[layer] == pytest.approx(sum((w - v) ** 2 for w, v in entries))


def test_fidelity_is_of_the_held_out_models_of_every_layer(parts, small_sane, monkeypatch):
    encoder = Encoder.of(small_sane(), "abc")
    rows = layer_fidelity(encoder, parts, "test", silent)
    layouts = [part.shelf.layout for part in parts]
    assert len(rows) == sum(layout.num_layers for layout in layouts)
    assert sum(row["entries"] for row in rows) == sum(int(lay.mask.sum()) for lay in layouts)
    assert all(row["r2"] < 1 for row in rows)
    perfect = iter([part.shelf.layout.tokenize(part.shelf.states(_test(part))) for part in parts])
    monkeypatch.setattr("mzsane.analysis.fidelity.decode", lambda *_: next(perfect))
    assert all(row["r2"] == 1 for row in layer_fidelity(encoder, parts, "test", silent))


def _test(part):
    from mzsane.analysis import columns_of

    return part.rows[columns_of(part)["split"] == "test"]
