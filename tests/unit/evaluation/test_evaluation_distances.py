"""Nearest neighbours and overlaps equal slow loops written from their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mzsane.evaluation import distances
from mzsane.evaluation.distances import nearest, overlap, sorted_features


def slow_nearest(queries, references, rows, spans, forbidden):
    chosen = [column for span in spans for column in range(span.start, span.stop)]
    distance, index = [], []
    for q, query in enumerate(queries.double()):
        best, place = float("inf"), 0
        for r, row in enumerate(rows):
            gap = sum((float(query[c]) - float(references[row, c])) ** 2 for c in chosen) ** 0.5
            if gap < best and not forbidden[q, r]:
                best, place = gap, r
        distance.append(best)
        index.append(place)
    return torch.tensor(distance, dtype=torch.float64), torch.tensor(index)


@given(
    count=st.integers(1, 6),
    models=st.integers(1, 8),
    columns=st.integers(1, 40),
    block=st.integers(1, 50),
    seed=st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_equals_a_slow_loop_for_every_block_size(count, models, columns, block, seed):
    rng = np.random.default_rng(seed)
    queries = torch.from_numpy(rng.normal(size=(count, columns)).astype(np.float32))
    references = rng.normal(size=(models, columns)).astype(np.float32)
    rows = rng.permutation(models)[: rng.integers(1, models + 1)]
    forbidden = torch.from_numpy(rng.random((count, len(rows))) < 0.3)
    cut = sorted(rng.integers(0, columns + 1, size=4).tolist())
    spans = [slice(*cut[:2]), slice(*cut[2:]), slice(columns, columns + 1)]
    queries = torch.cat([queries, queries[:, :1]], 1)
    references = np.concatenate([references, references[:, :1]], 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "COLUMNS", block)
        found = nearest(queries, references, rows, spans, forbidden)
    distance, index = slow_nearest(queries, references, rows, spans, forbidden)
    torch.testing.assert_close(found.distance, distance)
    reachable = distance.isfinite()
    assert torch.equal(found.index[reachable], index[reachable])


def test_a_copy_is_at_distance_zero_even_far_from_the_origin():
    references = (1000 + np.random.default_rng(0).normal(size=(5, 300))).astype(np.float32)
    found = nearest(torch.from_numpy(references[[3, 1]]), references, np.arange(5), [slice(0, 300)])
    assert found.distance.tolist() == [0.0, 0.0]
    assert found.index.tolist() == [3, 1]


def test_rows_that_do_not_take_part_are_never_found():
    references = np.zeros((3, 4), dtype=np.float32)
    references[1:] += 5
    found = nearest(torch.zeros(1, 4), references, np.array([1, 2]), [slice(0, 4)])
    assert found.distance.item() == pytest.approx(10.0)


def test_memory_maps_in_half_precision_are_read(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, 10)).astype(np.float16)
    values.tofile(tmp_path / "weights")
    mapped = np.memmap(tmp_path / "weights", dtype=np.float16, mode="r", shape=(4, 10))
    found = nearest(torch.from_numpy(values[2:3]).float(), mapped, np.arange(4), [slice(0, 10)])
    assert (found.distance.item(), found.index.item()) == (0.0, 2)


def test_a_model_that_is_not_finite_is_infinitely_far():
    queries = torch.zeros(3, 4)
    queries[0, 2], queries[1, 3] = float("nan"), float("inf")
    found = nearest(queries, np.ones((2, 4), np.float32), np.arange(2), [slice(0, 4)])
    assert found.distance.tolist() == [float("inf"), float("inf"), 2.0]


@given(entries=st.integers(1, 60), bins=st.integers(1, 70), seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_sorted_features_forget_order_and_bound_the_distance(entries, bins, seed):
    rng = np.random.default_rng(seed)
    a, b = (torch.from_numpy(rng.normal(size=(1, entries)).astype(np.float32)) for _ in range(2))
    cut = int(rng.integers(1, entries + 1))
    spans = [slice(0, cut)] + ([slice(cut, entries)] if cut < entries else [])
    shuffled = torch.cat(
        [a[:, s][:, torch.from_numpy(rng.permutation(s.stop - s.start))] for s in spans], 1
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "BINS", bins)
        of_a, of_b, of_shuffled = (sorted_features(x, spans) for x in (a, b, shuffled))
    torch.testing.assert_close(of_a, of_shuffled)
    bound = torch.linalg.vector_norm(of_a - of_b)
    assert bound <= torch.linalg.vector_norm(shuffled - b) * (1 + 1e-5)
    if bins >= max(cut, entries - cut):
        pairs = [a[:, s].sort().values - b[:, s].sort().values for s in spans]
        torch.testing.assert_close(bound, torch.linalg.vector_norm(torch.cat(pairs, 1)))


@given(st.integers(0, 20), st.integers(0, 10_000))
def test_overlap_is_intersection_over_union(images, seed):
    rng = np.random.default_rng(seed)
    a, b = (torch.from_numpy(rng.random((3, images)) < 0.4) for _ in range(2))
    for model, value in enumerate(overlap(a, b)):
        left = {i for i in range(images) if a[model, i]}
        right = {i for i in range(images) if b[model, i]}
        expected = len(left & right) / len(left | right) if left | right else 1.0
        assert value.item() == pytest.approx(expected)
