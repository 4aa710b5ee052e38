import numpy as np
import pytest
import torch

from mzsane.stores import Crew, TokenStore, write_store
from mzsane.symmetry import similarity
from mzsane.zoos import split_of


@pytest.fixture
def aligned(tmp_path, zoo):
    report = write_store(tmp_path / "a.h5", zoo("mlp", 6, (1, 2)), name="a")
    return report, TokenStore.open(tmp_path / "a.h5").architectures[0]


def test_the_reference_is_the_last_epoch_of_the_first_training_model(aligned):
    _, shelf = aligned
    first = next(model for model in sorted(set(shelf.models)) if split_of(model) == "train")
    assert shelf.models[shelf.reference] == first
    assert shelf.epochs[shelf.reference] == 2


def test_the_reference_itself_is_not_moved(aligned, zoo):
    _, shelf = aligned
    records = {(r.model, r.epoch): r.load() for r in zoo("mlp", 6, (1, 2))}
    original = records[str(shelf.models[shelf.reference]), 2]
    for name, tensor in shelf.state(shelf.reference).items():
        assert torch.equal(tensor, original[name])


def test_alignment_brings_models_closer_and_keeps_their_function(aligned, zoo, architectures):
    report, shelf = aligned
    assert report.similarity_after > report.similarity_before + 0.05
    network, images = architectures["mlp"].build(seed=0), torch.rand(5, 1, 4, 4)
    reference = shelf.state(shelf.reference)
    for row, record in enumerate(zoo("mlp", 6, (1, 2))):
        state = shelf.state(row)
        network.load_state_dict(record.load())
        expected = network(images)
        network.load_state_dict(state)
        assert torch.allclose(network(images), expected, atol=1e-5)
        before = similarity(record.load(), reference, shelf.symmetry)
        assert similarity(state, reference, shelf.symmetry) >= before - 1e-4


def test_a_permuted_copy_of_a_model_is_stored_as_the_model(tmp_path, zoo, aligned):
    _, shelf = aligned
    record = next(zoo("mlp", 1))
    permutation = shelf.symmetry.random(np.random.default_rng(0))
    copy = shelf.symmetry.apply(record.load(), permutation)
    record.load().update(copy)
    write_store(tmp_path / "b.h5", [record], name="b", references=_references(tmp_path / "a.h5"))
    again = TokenStore.open(tmp_path / "b.h5").architectures[0]
    row = int(np.flatnonzero((shelf.models == record.model) & (shelf.epochs == 1))[0])
    assert np.array_equal(again.weights[0], shelf.weights[row])


def test_sources_can_share_a_reference(tmp_path, zoo, aligned):
    _, shelf = aligned
    references = _references(tmp_path / "a.h5")
    write_store(tmp_path / "b.h5", zoo("mlp", 3, first=10), name="b", references=references)
    write_store(tmp_path / "c.h5", zoo("mlp", 3, first=10), name="c")
    shared, own = (TokenStore.open(tmp_path / n).architectures[0] for n in ("b.h5", "c.h5"))
    assert shared.frame == shelf.frame != own.frame
    assert shared.reference is None
    target = shelf.state(shelf.reference)

    def closeness(other):
        return sum(similarity(other.state(row), target, shelf.symmetry) for row in range(3))

    assert closeness(shared) > closeness(own)


def test_a_reference_of_another_shape_is_refused(tmp_path, zoo, architectures):
    references = {architectures["mlp"].fingerprint: next(zoo("cnn", 1)).load()}
    with pytest.raises(ValueError, match=r"not in this layout|missing"):
        write_store(tmp_path / "a.h5", zoo("mlp", 1), name="a", references=references)


def test_without_alignment_the_symmetry_is_stored_and_nothing_moves(tmp_path, zoo):
    report = write_store(tmp_path / "a.h5", zoo("mlp", 2), name="a", align=False)
    shelf = TokenStore.open(tmp_path / "a.h5").architectures[0]
    assert shelf.symmetry is not None
    assert (shelf.reference, shelf.frame, report.similarity_after) == (None, "", None)


def test_the_number_of_workers_changes_nothing(tmp_path, zoo):
    for workers in (1, 2):
        write_store(tmp_path / f"{workers}.h5", zoo("mlp", 40), name="a", crew=Crew(workers))
    one, two = (TokenStore.open(tmp_path / f"{workers}.h5") for workers in (1, 2))
    assert one.content_hash == two.content_hash


def test_the_global_random_state_is_left_alone(tmp_path, zoo):
    records = list(zoo("mlp", 2))
    before, numbers = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    write_store(tmp_path / "a.h5", records, name="a")
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numbers)  # noqa: NPY002


def _references(path):
    return TokenStore.open(path).references()
