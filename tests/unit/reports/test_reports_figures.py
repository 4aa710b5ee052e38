"""Figures are drawn whatever is missing, tell all methods apart and leave no state behind."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib import image

from mzsane.reports import accuracy_novelty, loss_curves
from mzsane.reports.canvas import canvas
from mzsane.reports.curves import parts
from mzsane.reports.scatter import appearances


def inked(path):
    """Share of pixels that are not white."""
    return float((image.imread(path)[..., :3] < 0.99).any(-1).mean())


def test_figures_of_gappy_data_are_written_and_hold_ink(results, metrics, tmp_path):
    accuracy_novelty(results, tmp_path / "new" / "novelty.png", {"digits": 10})
    loss_curves(metrics, tmp_path / "new" / "curves.png")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"novelty.png", "curves.png"}
    assert inked(tmp_path / "new" / "novelty.png") > 0.01
    assert inked(tmp_path / "new" / "curves.png") > 0.01


def test_one_model_without_anything_else_can_be_drawn(make_result, tmp_path):
    accuracy_novelty([make_result()], tmp_path / "one.png")
    accuracy_novelty([make_result(accuracy=float("nan"))], tmp_path / "none.png")
    loss_curves([{"step": 0, "train/loss": float("nan")}], tmp_path / "nan.png")
    assert inked(tmp_path / "one.png") > inked(tmp_path / "none.png")


def test_the_line_of_chance_is_drawn_only_if_the_classes_are_known(make_result, tmp_path):
    rows = [make_result()]
    for name, classes in (("with", {"digits": 2}), ("without", {"other": 2}), ("no", None)):
        accuracy_novelty(rows, tmp_path / f"{name}.png", classes)
    assert inked(tmp_path / "with.png") > inked(tmp_path / "without.png")
    assert np.array_equal(image.imread(tmp_path / "without.png"), image.imread(tmp_path / "no.png"))


def test_no_two_of_many_methods_look_alike_and_the_zoo_is_black(make_result):
    kinds = {"zoo": 3, "baseline": 12, "sampler": 12}
    rows = [make_result(f"{k}{i}", k) for k, n in kinds.items() for i in range(n)]
    looks = appearances([*rows, *rows])
    assert len(set(looks.values())) == len(looks) == 27
    assert {looks[f"zoo{i}"].colour for i in range(3)} == {"#000000"}
    assert not looks["baseline0"].filled
    assert looks["sampler0"].filled


def test_a_methods_look_does_not_depend_on_the_order_of_kinds(make_result):
    rows = [make_result("k"), make_result("b", "baseline"), make_result("z", "zoo")]
    assert appearances(rows) == appearances(rows[::-1])


def test_parts_of_the_loss_are_what_both_stages_log(metrics):
    assert parts(metrics) == ["loss", "contrastive"]
    assert parts(metrics[:2]) == ["loss"]


def test_r_squared_of_kinds_of_layers_is_left_to_the_tables(metrics, tmp_path):
    of_kinds = [
        {**row, "val/r2/digits/linear": 0.3} if "val/loss" in row else row for row in metrics
    ]
    of_sources = [{**row, "val/r2/other": 0.3} if "val/loss" in row else row for row in metrics]
    drawn = []
    for rows in (metrics, of_kinds, of_sources):
        loss_curves(rows, tmp_path / "curves.png")
        drawn.append(image.imread(tmp_path / "curves.png"))
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_nothing_to_draw_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match="none to report; evaluate"):
        accuracy_novelty([], tmp_path / "a.png")
    with pytest.raises(ValueError, match="none to draw; train"):
        loss_curves([], tmp_path / "b.png")
    assert not list(tmp_path.iterdir())


def test_a_failed_drawing_keeps_the_old_figure(tmp_path):
    path = tmp_path / "figure.png"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), canvas(path, 1, 1):
        raise RuntimeError("half way")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_importing_the_room_loads_neither_matplotlib_nor_torch_nor_rich():
    code = (
        "import sys, mzsane.reports; "
        "assert not {'matplotlib', 'torch', 'rich'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_settings_and_pyplot_are_left_alone(results, metrics, tmp_path):
    import matplotlib

    before = dict(matplotlib.rcParams)
    accuracy_novelty(results, tmp_path / "a.png")
    loss_curves(metrics, tmp_path / "b.png")
    assert dict(matplotlib.rcParams) == before
