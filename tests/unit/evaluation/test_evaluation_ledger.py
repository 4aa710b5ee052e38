"""An interruption costs one block, and neither cuts nor foreign blocks are taken for results."""

import math
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mzsane.evaluation import (
    Ensembles,
    Ledger,
    Refined,
    Study,
    Together,
    ZeroShot,
    read_rows,
    remove_blocks,
    write_rows,
)
from mzsane.evaluation.ledger import stamp_of
from mzsane.populations import Recipe
from mzsane.sampling import Gaussian, Selection, select
from mzsane.stores import TokenStore

KEY, OTHER = ("s", "a", "m", "p"), ("s", "a", "n", "p")
ROWS = [{"accuracy": 0.1 + 0.2, "loss": math.nan, "model": 3}]


def study(store, images, **changes):
    settings = {"num_anchors": 3, "num_samples": 2, "workers": 1, "noise_scales": (0.2,)}
    protocols = {"zero_shot": ZeroShot(), "ensembles": Ensembles((2,), 3)}
    return Study(
        {store.name: store}, {"a": lambda: images}, {"gaussian": Gaussian()}, protocols,
        **(settings | changes)
    )  # fmt: skip


def test_blocks_come_back_bit_for_bit(tmp_path):
    ledger = Ledger(tmp_path, "stamp")
    ledger.add(KEY, ROWS)
    again = Ledger(tmp_path, "stamp", rank=1)
    assert repr(again.get(KEY)) == repr(ROWS)
    assert again.get(OTHER) is None
    assert Ledger(tmp_path, "another").get(KEY) is None
    remove_blocks(tmp_path)
    assert Ledger(tmp_path, "stamp").get(KEY) is None


@pytest.mark.parametrize("lost", [1, 2, 30])
def test_a_line_that_was_cut_costs_its_own_block_only(tmp_path, lost):
    ledger = Ledger(tmp_path, "stamp")
    ledger.add(KEY, ROWS)
    ledger.add(OTHER, ROWS)
    path = tmp_path / "blocks-0.jsonl"
    path.write_bytes(path.read_bytes()[:-lost])
    again = Ledger(tmp_path, "stamp")
    assert again.get(KEY)
    assert (again.get(OTHER) is None) is (lost > 1)  # without its line's end a block is whole
    again.add(OTHER, ROWS)
    last = Ledger(tmp_path, "stamp")
    assert last.get(KEY)
    assert last.get(OTHER)


def test_the_stamp_knows_the_weights(small_sane):
    model = small_sane(18)
    before = stamp_of(model, 7)
    assert stamp_of(small_sane(18), 7) == before
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] += 1
    assert len({before, stamp_of(model, 7), stamp_of(small_sane(18), 8)}) == 3


def test_an_interrupted_study_goes_on_and_gives_the_same_table(
    cnn_store, small_sane, noise_images, tmp_path, monkeypatch
):
    images = noise_images(cnn_store.architectures[0].architecture)
    model = small_sane(cnn_store.d_token)
    whole = study(cnn_store, images).run(model)
    asked = []
    evaluated = ZeroShot.rows

    def rows(self, method, *rest):
        asked.append(method.name)
        if len(asked) == 5:
            raise KeyboardInterrupt
        return evaluated(self, method, *rest)

    monkeypatch.setattr(ZeroShot, "rows", rows)
    with pytest.raises(KeyboardInterrupt):
        study(cnn_store, images).run(model, folder=tmp_path)
    again = study(cnn_store, images).run(model, folder=tmp_path)
    assert repr(again) == repr(whole)
    assert len(asked) == len(set(asked)) + 1, "what was finished is not asked again"


def test_a_selection_is_made_once_and_survives_an_interruption(
    cnn_store, small_sane, noise_images, tmp_path, monkeypatch
):
    images = noise_images(cnn_store.architectures[0].architecture)
    recipe = Recipe(batch_size=20, epochs=1)
    changes = {
        "methods": ["subsample"],
        "protocols": {"zero_shot": ZeroShot(), "refined": Refined(recipe)},
    }
    model, made, evaluated = small_sane(cnn_store.d_token), [], ZeroShot.rows

    def selecting(store, images):
        samplers = {"subsample": Selection(Gaussian(), 5, 2)}
        return replace(study(store, images), samplers=samplers, **changes)

    def counted(*args):
        made.append(args)
        return select(*args)

    def interrupted(self, *rest):
        raise KeyboardInterrupt

    monkeypatch.setattr("mzsane.evaluation.workshop.select", counted)
    whole = selecting(cnn_store, images).run(model)
    assert len(made) == 1, "for both protocols"
    monkeypatch.setattr(ZeroShot, "rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        selecting(cnn_store, images).run(model, folder=tmp_path)
    monkeypatch.setattr(ZeroShot, "rows", evaluated)
    again = selecting(cnn_store, images).run(model, folder=tmp_path)
    assert len(made) == 2
    assert repr(again) == repr(whole)
    selecting(cnn_store, images).run(small_sane(cnn_store.d_token), step=1, folder=tmp_path)
    assert len(made) == 3, "not for another stage of the autoencoder"
    remove_blocks(tmp_path)
    assert not list(tmp_path.iterdir())


def share(rank, path, store, folder, model, images, failing):
    """One of two processes."""
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=2)
    torch.set_num_threads(1)
    together, told = Together.of_run(), ""
    names = ["nothing"] if failing and rank else None
    asked = []
    try:
        rows = study(TokenStore.open(store), images, methods=names).run(
            model, folder=folder, together=together, progress=lambda *stage: asked.append(stage)
        )
        write_rows(folder / f"{rank}.csv", rows)
    except ValueError as error:
        told = str(error)
    (folder / f"{rank}.txt").write_text(f"{len(asked)} {told}")
    dist.destroy_process_group()


@pytest.mark.parametrize("failing", [False, True])
def test_two_processes_share_the_work_and_both_get_the_table_of_one(
    cnn_store, small_sane, noise_images, tmp_path, failing
):
    images = noise_images(cnn_store.architectures[0].architecture)
    model = small_sane(cnn_store.d_token)
    arguments = (tmp_path / "meeting", cnn_store.path, tmp_path, model, images, failing)
    mp.spawn(share, args=arguments, nprocs=2)
    told = [(tmp_path / f"{rank}.txt").read_text() for rank in range(2)]
    if failing:
        assert "process 1 could not evaluate: evaluation.methods: there is no" in told[0]
        assert "there is no 'nothing'" in told[1]
        return
    rows = study(cnn_store, images).run(model)
    for rank in range(2):
        assert repr(read_rows(tmp_path / f"{rank}.csv")) == repr(rows)
    done = [int(line.split()[0]) for line in told]
    assert sum(done) == 2 * len({row["method"] for row in rows})
    assert abs(done[0] - done[1]) <= 2
