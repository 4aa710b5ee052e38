"""`embed`, `probe` and `search` on a zoo of one's own, by the real commands."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pyarrow.parquet
import pytest
import torch

from mzsane.analysis.parts import read_part
from mzsane.architectures import Architecture
from mzsane.models import Card, Sane

MLP = Architecture("mzsane.architectures.MLP", {"width": [6]}, (1, 4, 4), 3)
MODELS = 40


@pytest.fixture(scope="module")
def zoo(tmp_path_factory):
    """Trainings of two epochs, one of which is there twice; the accuracy grows with the weights."""
    folder = tmp_path_factory.mktemp("mine")
    rows = ["model,epoch,test_acc,optim::optimizer"]
    for number in range(MODELS):
        state = MLP.build(number).state_dict()
        for epoch in (1, 2):
            generator = torch.Generator().manual_seed(10 * number + epoch)
            scale = 1 + number / MODELS + epoch / 10
            moved = {
                name: scale * tensor + 0.02 * torch.randn(tensor.shape, generator=generator)
                for name, tensor in state.items()
            }
            torch.save(moved, folder / f"net{number:02d}_epoch{epoch}.pt")
            optimizer = ("adam", "sgd")[number % 2]
            rows.append(f"net{number:02d},{epoch},{scale / 3:.4f},{optimizer}")
    (folder / "properties.csv").write_text("\n".join(rows) + "\n")
    (folder / "copy_epoch1.pt").write_bytes((folder / "net07_epoch2.pt").read_bytes())
    return folder


@pytest.fixture(scope="module")
def sane(tmp_path_factory):
    """An untrained autoencoder, as a folder of `save_pretrained`."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Sane(17, 16, 2, 1, 6, window=16, positions="sinusoidal")
    folder = tmp_path_factory.mktemp("sane")
    model.save_pretrained(folder, Card({}, {}, {}, None))
    return folder


@pytest.fixture(scope="module")
def told(zoo, sane, tmp_path_factory):
    """Arguments and environment of a command in a folder of its own; one store serves all."""
    data = tmp_path_factory.mktemp("data")
    environment = {**os.environ, "MZSANE_DATA": str(data), "OMP_NUM_THREADS": "1", "COLUMNS": "150"}

    def arguments(folder, *overrides):
        where = [f"checkpoint={sane}", "zoo=folder", f"zoo.path={zoo}", f"hydra.run.dir={folder}"]
        return [*where, "workers=1", *overrides], environment

    return arguments


@pytest.fixture
def done(told, warm, tmp_path):
    def command(name, *overrides, code=0):
        arguments, environment = told(tmp_path / "run", *overrides)
        run = warm.run(f"mzsane.{name}", *arguments, env=environment)
        assert run.returncode == code, run.stderr
        return (run.stdout if code == 0 else run.stderr), tmp_path / "run"

    return command


@pytest.fixture
def patched(told, tmp_path):
    """Runs the real entry point after other code, in a process of its own."""

    def command(code, *overrides):
        arguments, environment = told(tmp_path / "run", *overrides)
        program = [sys.executable, "-c", code, *arguments]
        return subprocess.run(program, env=environment, text=True, capture_output=True)

    return command


def rows_of(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_embed_leaves_vectors_maps_and_layers(done):
    told, run = done("embed", "levels=[model,layer,token]", "map=tsne")
    assert "reconstruction of test models" in told
    (models,) = (np.load(path) for path in (run / "embeddings" / "model").glob("*.npz"))
    assert models["embedding"].shape == (2 * MODELS + 1, 6)
    (tokens,) = (np.load(path) for path in (run / "embeddings" / "token").glob("*.npz"))
    assert len(tokens["embedding"]) == len(models["embedding"]) * (tokens["token"].max() + 1)
    provenance = json.loads((run / "embeddings" / "provenance.json").read_text())
    assert {"autoencoder_sha256", "stores", "window", "halo"} <= set(provenance)
    assert json.loads(models["mzsane"].item()) == provenance
    assert {row["layer_name"] for row in rows_of(run / "layers.csv")} == {
        "module_list.0.weight", "module_list.2.weight",
    }  # fmt: skip
    for name in ("map.png", "map.html", "layers.png", "summary.md"):
        assert (run / name).stat().st_size > 0, name


def test_parquet_holds_what_npz_holds(done, zoo):
    _, run = done("embed", "format=parquet", "levels=model", "map=null", "per_layer=false")
    (path,) = (run / "embeddings" / "model").glob("*.parquet")
    table = pyarrow.parquet.read_table(path)
    provenance = json.loads((run / "embeddings" / "provenance.json").read_text())
    assert json.loads(table.schema.metadata[b"mzsane"]) == provenance
    columns, embedding = read_part(path)
    assert embedding.shape == (2 * MODELS + 1, 6)
    np.testing.assert_array_equal(np.array(table["embedding"].to_pylist(), np.float32), embedding)
    assert np.ptp(embedding, axis=0).min() > 0
    known = {(row["model"], int(row["epoch"])): float(row["test_acc"])
             for row in rows_of(zoo / "properties.csv")}  # fmt: skip
    rows = zip(*(columns[name].tolist() for name in ("model", "epoch", "test_acc")), strict=True)
    found = {(model, epoch): value for model, epoch, value in rows if model != "copy"}
    assert found == pytest.approx(known)


def test_parquet_without_pyarrow_ends_in_one_sentence_before_anything_is_embedded(
    patched, tmp_path
):
    missing = "import sys; sys.modules['pyarrow'] = None; from mzsane.embed import main; main()"
    run = patched(missing, "format=parquet")
    assert run.returncode == 1
    (sentence,) = [line for line in run.stderr.splitlines() if line.startswith("mzsane: ")]
    assert "format=parquet needs pyarrow, which is not installed; pip install" in sentence
    assert "Traceback" not in run.stderr
    assert not list((tmp_path / "run").glob("embeddings/model/*"))


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """Two kinds of networks, the larger trained on two image sets, one of which tells nothing."""
    folder = tmp_path_factory.mktemp("mixed")
    cnn = Architecture("mzsane.architectures.CNN", {}, (1, 28, 28), 10)
    rows = ["model,epoch,test_acc,dataset::name"]
    for number in range(120):
        kind, shift = ((cnn, 0.0), (MLP, 0.0), (MLP, 1.0))[number % 3]
        state = {name: w + shift for name, w in kind.build(number).state_dict().items()}
        torch.save(state, folder / f"net{number:02d}_epoch1.pt")
        name = ("", "digits", "shapes")[number % 3]
        rows.append(f"net{number:02d},1,{0.3 + number / 200:.3f},{name}")
    (folder / "properties.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_probe_tells_image_sets_and_architectures_of_a_mixed_zoo_apart(done, mixed):
    targets = ["targets=[dataset,architecture]", "features=embedding", "regressors=linear"]
    told, run = done("probe", f"zoo.path={mixed}", *targets, "resamples=0")
    rows = [row for row in rows_of(run / "probes.csv") if row["scope"] == "all"]
    values = {(r["target"], r["features"]): float(r["value"]) for r in rows if r["metric"]}
    for target in ("dataset::name", "architecture"):
        assert values[target, "embedding"] > values[target, "none"], values
    assert "40 of 120 checkpoints do not tell it and are left out" in told


def test_probe_takes_the_published_regressors_and_names_without_brackets(done):
    regressors = "regressors=[logit_linear,network,boosting]"
    told, run = done("probe", "targets=test_acc", "features=stats_sane", regressors, "resamples=0")
    found = {row["regressor"]: row for row in rows_of(run / "probes.csv") if row["metric"] == "r2"}
    assert set(found) == {"mean", "logit_linear", "network", "boosting"}
    values = {name: float(row["value"]) for name, row in found.items()}
    assert min(values.values()) == values["mean"], values
    assert "stats_sane, logit-linear" in told
    assert "stats_sane, network" in told


def test_probe_finds_what_weights_tell_and_says_what_does_not_vary(done):
    told, run = done("probe", "resamples=20", "features=[embedding,stats_sane]")
    rows = rows_of(run / "probes.csv")
    found = {(row["target"], row["features"], row["metric"]): row for row in rows}
    assert float(found["test_acc", "stats_sane", "r2"]["value"]) > 0.5
    assert float(found["test_acc", "none", "r2"]["value"]) <= 0
    assert ("optim::optimizer", "embedding", "accuracy") in found
    assert int(found["test_acc", "embedding", "r2"]["test_models"]) > 1
    assert "test_acc" in told
    assert "stats_sane" in (run / "summary.md").read_text()


def test_search_finds_neighbours_copies_and_lineages(done, zoo):
    told, run = done("search", f"query={zoo / 'net03_epoch2.pt'}", "k=3")
    neighbours = rows_of(run / "neighbours.csv")
    first = {row["by"]: (row["model"], row["epoch"]) for row in neighbours if row["rank"] == "1"}
    assert set(first.values()) == {("net03", "2")}
    assert len(neighbours) == 6
    copies = rows_of(run / "copies.csv")
    assert {(row["model"], row["other_model"]) for row in copies} == {("copy", "net07")}
    kinds = {row["other_epoch"]: row["kind"] for row in copies}
    assert kinds["2"] == "identical" != kinds.get("1")
    guessed = {
        (row["model"], row["epoch"]): row["trajectory"] for row in rows_of(run / "lineage.csv")
    }
    pairs = [guessed[f"net{n:02d}", "1"] == guessed[f"net{n:02d}", "2"] for n in range(MODELS)]
    assert np.mean(pairs) > 0.9
    assert "copies" in told


# chunks of 20 models, and Ctrl-C before the embedding after LAST
CHUNKS = """
import itertools, os, signal
from mzsane.analysis import members, streaming
members.CHUNK_MODELS = 20
embed, count = streaming.embed, itertools.count()
def interrupted(*arguments):
    if next(count) == {last}:
        os.kill(os.getpid(), signal.SIGINT)
    return embed(*arguments)
streaming.embed = interrupted
from mzsane.{name} import main
main()
"""


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("embed", ["map=null", "per_layer=false"]),
        ("probe", ["targets=test_acc", "features=embedding"]),
    ],
)
def test_an_interrupted_embedding_goes_on_where_it_was(patched, tmp_path, name, overrides):
    run = patched(CHUNKS.format(name=name, last=2), *overrides)
    assert run.returncode == 130, run.stderr
    model = tmp_path / "run" / "embeddings" / "model"
    kept = {path.name: path.stat().st_mtime_ns for path in model.iterdir()}
    assert len(kept) == 2
    assert not (tmp_path / "run" / "summary.md").exists()
    run = patched(CHUNKS.format(name=name, last=None), *overrides)
    assert run.returncode == 0, run.stderr
    now = {path.name: path.stat().st_mtime_ns for path in model.iterdir()}
    assert len(now) == 5
    assert {name: now[name] for name in kept} == kept


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("probe", ["targets=[acuracy]"], "target acuracy: no checkpoint has it; there is: "),
        ("search", ["query=net3@2"], "neither a file nor a checkpoint of the zoo; did you mean"),
        ("probe", ["targets=3"], "targets=3: give a name, or several as targets=[one,other]"),
        ("embed", ["levels=[layer]"], "a map is drawn of level model"),
        ("embed", ["map=umap"], "map=umap: choose from pca, tsne"),
        ("embed", ["colours=[acuracy]"], "colours: no checkpoint has acuracy; there is: "),
    ],
)
def test_mistakes_end_in_one_sentence_before_anything_is_embedded(done, name, overrides, message):
    errors, run = done(name, *overrides, code=1)
    (sentence,) = [line for line in errors.splitlines() if line.startswith("mzsane: ")]
    assert message in sentence
    assert not (run / "embeddings").exists()
