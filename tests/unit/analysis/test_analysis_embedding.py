"""Embeddings are means over latents, are written whole, and are not made twice."""

import json

import numpy as np
import pytest
import torch

from mzsane.analysis import Encoder, chosen, chunks, columns_of, embed, embed_parts, read_models
from mzsane.analysis import members as members_module
from mzsane.analysis.embedding import layer_means
from mzsane.analysis.members import joined
from mzsane.analysis.parts import read_part, write_part
from mzsane.progress import silent


@pytest.fixture
def encoder(small_sane):
    return Encoder.of(small_sane(), "abc")


@pytest.fixture
def embedded(encoder, parts, tmp_path):
    embed_parts(encoder, parts, tmp_path, {"stores": "x"}, silent, ("model", "layer", "token"))
    return tmp_path


def test_layer_means_equal_a_loop():
    latents, layers = torch.randn(2, 7, 3), torch.tensor([0, 0, 2, 1, 1, 1, 2])
    found = layer_means(latents, layers, 3)
    for row in range(2):
        for layer in range(3):
            own = [latents[row, t] for t in range(7) if layers[t] == layer]
            torch.testing.assert_close(found[row, layer], sum(own) / len(own))


def test_a_model_that_fits_a_window_is_embedded_in_one_pass(small_sane, parts):
    part = parts[0]
    layout = part.shelf.layout
    model = small_sane(window=layout.num_tokens)
    tokens = layout.tokenize(part.shelf.states(part.rows)).float()
    with torch.no_grad():
        latents = model.encode(tokens, layout.positions.expand(len(tokens), -1, -1))
    found = embed(model, part, layout.num_tokens, 0)
    torch.testing.assert_close(found.token, latents, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.model, latents.mean(1), rtol=1e-4, atol=1e-5)


def test_an_autoencoder_of_other_tokens_is_refused(small_sane, parts, tmp_path):
    with pytest.raises(ValueError, match="its tokens have 20 entries, those of the autoencoder 7"):
        embed_parts(Encoder.of(small_sane(7), "abc"), parts, tmp_path, {}, silent)


def test_chunks_are_all_rows_in_order_and_bounded(parts, monkeypatch):
    layout = parts[0].shelf.layout
    monkeypatch.setattr(members_module, "CHUNK_VALUES", 7 * layout.num_tokens * layout.d_token)
    pieces = list(chunks(parts[0]))
    assert max(len(piece.rows) for piece in pieces) == 7
    np.testing.assert_array_equal(np.concatenate([p.rows for p in pieces]), parts[0].rows)
    assert len({piece.name for piece in pieces}) == len(pieces)


def test_all_levels_tell_the_same_models(embedded, parts, small_sane):
    columns, vectors = read_models(parts, embedded)
    assert len(vectors) == sum(len(part.rows) for part in parts)
    np.testing.assert_array_equal(columns["model"][:60], parts[0].shelf.models)
    (layers,) = (embedded / "layer").glob("cnns*")
    table, means = read_part(layers)
    tokens_table, tokens = read_part(embedded / "token" / layers.name)
    own = tokens_table["row"] == 4
    np.testing.assert_allclose(tokens[own].mean(0), vectors[4], rtol=1e-4, atol=1e-6)
    first = own & (tokens_table["layer"] == 0)
    at = (table["row"] == 4) & (table["layer"] == 0)
    np.testing.assert_allclose(tokens[first].mean(0), means[at][0], rtol=1e-4, atol=1e-6)
    assert set(table["layer_name"][at]) == {parts[0].shelf.layout.layers[0].pieces[0].name}
    assert "test_acc" in table


def test_what_is_there_is_not_made_again(embedded, encoder, parts, monkeypatch):
    before = {path: path.stat().st_mtime_ns for path in embedded.rglob("*.npz")}
    (embedded / "layer" / "mlps.0.00000.npz").unlink()  # as after an interruption
    again = []

    def told(model, part, *settings):
        again.append(part)
        return embed(model, part, *settings)

    monkeypatch.setattr("mzsane.analysis.streaming.embed", told)
    embed_parts(encoder, parts, embedded, {"stores": "x"}, silent, ("model", "layer", "token"))
    assert [part.name for part in again] == ["mlps.0.00000"]
    assert set(embedded.rglob("*.npz")) == set(before)


def test_embeddings_of_two_autoencoders_are_not_mixed(embedded, encoder, parts):
    with pytest.raises(ValueError, match="embeddings of another autoencoder or zoo"):
        embed_parts(encoder, parts, embedded, {"stores": "y"}, silent)


@pytest.mark.parametrize("format", ["npz", "parquet"])
def test_tables_carry_columns_of_any_name_and_provenance(format, tmp_path, parts):
    path = tmp_path / f"part.{format}"
    columns = columns_of(parts[0]) | {"file": np.array(["a/b"] * 60)}
    vectors = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    write_part(path, columns, vectors, {"hash": "abc"})
    found, again = read_part(path)
    if format == "npz":
        told = np.load(path)["mzsane"].item()
    else:
        told = pytest.importorskip("pyarrow.parquet").read_schema(path).metadata[b"mzsane"]
    assert json.loads(told) == {"hash": "abc"}
    np.testing.assert_array_equal(again, vectors)
    for name, column in columns.items():
        np.testing.assert_array_equal(found[name], column)


def test_a_damaged_table_is_named(embedded, parts):
    victim = embedded / "model" / "cnns.0.00000.npz"
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"cnns\.0\.00000\.npz: damaged or no table"):
        read_models(parts, embedded)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": ["row"]}, r"levels=\['row'\]: choose from model, layer, token"),
        ({"levels": []}, r"levels=\[\]"),
        ({"format": "csv"}, "format=csv: choose from npz, parquet"),
    ],
)
def test_unknown_levels_and_formats_are_refused(encoder, parts, tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        embed_parts(encoder, parts, tmp_path, {}, silent, **settings)


def test_columns_that_a_shelf_lacks_are_missing_there():
    a = {"model": np.array(["x"]), "lr": np.array([0.1]), "name": np.array(["p"])}
    b = {"model": np.array(["y", "z"]), "gap": np.array([1.0, 2.0])}
    base = {name: np.zeros(1) for name in ("source", "architecture", "epoch", "split", "row")}
    both = {name: np.zeros(2) for name in base}
    found = joined([base | a, both | b])
    np.testing.assert_array_equal(found["lr"], [0.1, np.nan, np.nan])
    np.testing.assert_array_equal(found["gap"], [np.nan, 1, 2])
    assert found["name"].tolist() == ["p", "", ""]


def test_num_models_limits_training_models_only(stores):
    parts = chosen({"cnns": stores["cnns"]}, num_models=3)
    splits = columns_of(parts[0])["split"]
    everything = columns_of(chosen(stores)[0])["split"]
    assert (splits == "train").sum() == 9
    assert (splits == "test").sum() == (everything == "test").sum() > 0
