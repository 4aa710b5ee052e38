"""Pages, maps and bars are written whole, and the page of a map needs nothing but itself."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.image import imread
from rich.console import Console

from mzsane.reports import (
    Sheet,
    latent_map,
    latent_page,
    layer_bars,
    probe_sheets,
    search_sheets,
    terminal_page,
    write_page,
)
from mzsane.reports.canvas import COLOURS
from mzsane.reports.search import SHARES
from mzsane.reports.tables import ABSENT

POINTS = np.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.5]])
COLUMNS = {
    "test_acc": np.array([0.1, np.nan, 0.3]),
    "name": np.array(["a</script><b>", "", "c"]),
    "epoch": np.array([1, 2, 3]),
}


def embedded(path):
    page = path.read_text()
    (text,) = re.findall(r'<script type="application/json" id="data">(.*)</script>', page)
    return page, json.loads(text)


def test_the_page_of_a_map_holds_its_data_and_loads_nothing(tmp_path):
    latent_page(POINTS, COLUMNS, tmp_path / "map.html", ("x", "y"), "name")
    page, data = embedded(tmp_path / "map.html")
    assert data["points"] == POINTS.tolist()
    assert data["columns"]["test_acc"] == [0.1, None, 0.3]
    assert data["columns"]["name"] == ["a</script><b>", None, "c"]
    assert data["colour"] == "name"
    assert not re.search(r"https?:|//[a-z]|\bsrc=|\bhref=|@import|url\(|fetch|XMLHttp", page)
    assert "default-src 'none'" in page
    assert page.count("</script>") == 2  # the zoo's text ends none


KINDS = [f"k{n}" for n in range(30)]
DOM = """
const made = () => ({
  style: {}, parts: [], append(...more) { this.parts.push(...more); }, addEventListener() {},
  replaceChildren() { this.parts = []; },
  add(option) { if (option.chosen) this.value = option.value; },
  getBoundingClientRect: () => ({ width: 100, height: 100, left: 0, top: 0 }),
  getContext: () => ({ scale() {}, beginPath() {}, arc() {}, fill() {} }),
});
class Option { constructor(text, value, _, chosen) { Object.assign(this, { value, chosen }); } }
const elements = {}, window = { addEventListener() {} };
const document = { getElementById: id => elements[id] ??= made(), createElement: made };
"""
TEXTS = """
const texts = elements.legend.parts.map(part => part.parts ? part.parts.at(-1) : part);
console.log(JSON.stringify(texts));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
@pytest.mark.parametrize(
    ("column", "legend"),
    [
        (np.array(["a", "", "a"]), ["a", "not known"]),
        (np.array(["a", "b", "a"]), ["a", "b"]),
        (np.array([0.25, np.nan, 1.0]), ["0.25", None, "1", " ", "not known"]),
        (np.array([1, 2, 3]), ["1", None, "3", " "]),
        (np.full(3, np.nan), ["not known"]),
        (np.array(KINDS), [*KINDS[: len(COLOURS)], "others"]),
    ],
)
def test_the_legend_of_the_page_tells_what_grey_is(tmp_path, column, legend):
    latent_page(np.zeros((len(column), 2)), {"it": column}, tmp_path / "map.html")
    page, data = embedded(tmp_path / "map.html")
    given = f"elements.data = {{ textContent: {json.dumps(json.dumps(data))} }};"
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    told = subprocess.run(
        ["node", "-e", DOM + given + script + TEXTS], text=True, capture_output=True, timeout=60
    )
    assert told.returncode == 0, told.stderr
    assert [text or None for text in json.loads(told.stdout)] == legend


def test_the_legends_of_a_map_tell_what_grey_is(tmp_path, monkeypatch):
    labels, legend = [], Axes.legend

    def noted(axes, **how):
        labels.append(axes.get_legend_handles_labels()[1][0])
        return legend(axes, **how)

    monkeypatch.setattr(Axes, "legend", noted)
    points, names = np.zeros((9, 2)), np.array([f"k{n}" for n in range(9)])
    columns = {
        "numbers": np.array([np.nan, *range(8)]), "whole": np.arange(9), "names": names,
        "both": np.where(names == "k8", "", names), "known": np.array(["a", "", *["b"] * 7]),
    }  # fmt: skip
    latent_map(points, columns, tmp_path / "map.png")
    assert labels == ["not known", "others", "others or not known", "not known"]


def test_a_map_is_drawn_for_texts_numbers_and_what_is_missing(tmp_path):
    latent_map(POINTS, COLUMNS, tmp_path / "map.png")
    assert imread(tmp_path / "map.png").size > 0
    many = {"many": np.array([f"kind{n}" for n in range(12)])}
    latent_map(np.zeros((12, 2)), many, tmp_path / "many.png")
    with pytest.raises(ValueError, match="nothing to colour the map by"):
        latent_map(POINTS, {}, tmp_path / "none.png")


def layer(number, r2=0.5, **others):
    return {
        "architecture": "cnn", "weights": 30, "layer": number, "layer_name": f"l{number}.weight",
        "entries": 10, "checkpoints": 4, "r2": r2, "rmse": 0.1, "std": 0.2, **others,
    }  # fmt: skip


def test_bars_are_drawn_for_layers_of_any_quality(tmp_path):
    rows = [layer(0), layer(1, -40.0), layer(2, float("nan")), layer(0, architecture="mlp")]
    layer_bars(rows, tmp_path / "layers.png")
    assert imread(tmp_path / "layers.png").size > 0


def probed(target="test_acc", features="embedding", metric="r2", value=0.5, **others):
    return {
        "scope": "digits/cnn", "target": target, "features": features, "regressor": "linear",
        "task": "regression", "metric": metric, "value": value, "low": 0.4, "high": 0.6, "note": "",
        "test_models": 7, **others,
    }  # fmt: skip


def test_probes_are_tables_of_targets_and_what_they_are_predicted_from():
    rows = [
        probed(features="none", regressor="mean"),
        probed(),
        probed(metric="kendall_tau", value=0.7),
        probed(regressor="boosting", value=0.25, low=float("nan")),
        probed("epoch", value=float("nan"), test_models=5),
        probed("optimizer", metric="accuracy", task="classification"),
    ]
    numbers, classes = probe_sheets(rows)
    assert numbers.header == ("target", "predicted from", "R²", "Kendall's tau-b")
    assert numbers.lines == (
        ("test_acc", "no features", "0.500 [0.400, 0.600]", ABSENT),
        ("", "embedding", "0.500 [0.400, 0.600]", "0.700 [0.400, 0.600]"),
        ("", "embedding, trees", "0.250", ABSENT),
        ("epoch", "embedding", ABSENT, ABSENT),
    )
    assert numbers.remarks[0].startswith("Of 5 to 7 test models, which no probe has seen")
    assert classes.header == ("target", "predicted from", "accuracy")
    assert classes.remarks[0].startswith("Of 7 test models")


def test_equal_reasons_for_what_is_missing_are_one_remark():
    rows = [
        probed("lr", "", "", note="constant (0.1)"),
        probed("momentum", "", "", note="constant (0.9)"),
        probed("ggap", "", "", note="constant (0.0) over the training models"),
        *(probed(target, "weights", note="not aligned") for target in ("test_acc", "epoch")),
        probed(features="embedding", note="not aligned"),
    ]
    assert probe_sheets(rows)[-1].remarks == (
        "lr (0.1), momentum (0.9): constant",
        "ggap (0.0): constant over the training models",
        "weights, embedding: not aligned",
    )


def test_baselines_that_no_probe_can_tell_apart_are_said_to_be():
    both = [probed(features=name) for name in ("stats_nfn", "stats_unterthiner")]
    told = [
        any("no probe sees the scale" in r for r in probe_sheets(rows)[0].remarks)
        for rows in (both, both[:1], [{**row, "regressor": "boosting"} for row in both])
    ]
    assert told == [True, False, True]


def test_a_table_of_probes_is_whole_on_a_narrow_terminal():
    rows = [probed(features="stats_unterthiner", low=-11.846), probed(metric="kendall_tau")]
    console = Console(width=80)
    with console.capture() as caught:
        console.print(terminal_page(probe_sheets(rows)))
    assert "0.500 [-11.846, 0.600]" in caught.get()
    assert "\N{HORIZONTAL ELLIPSIS}" not in caught.get()


def test_a_lineage_is_whole_on_a_narrow_terminal():
    row = {"checkpoints": 1200, "models": 400, "trajectories": 401, **dict.fromkeys(SHARES, 0.5)}
    kinds = [{"architecture": name, **row} for name in ("cnn", "resnet18", "vit")]
    console = Console(width=80)
    with console.capture() as caught:
        console.print(terminal_page(search_sheets([], None, kinds)))
    told = caught.get()
    assert all(name in told for name in ("trajectories guessed", "resnet18", *SHARES))
    assert "\N{HORIZONTAL ELLIPSIS}" not in told


def test_no_word_is_cut_however_narrow_the_terminal():
    sheet = Sheet("t", ("extraordinarily", "longwinded"), (("incomprehensible", "1"),))
    console = Console(width=16)
    with console.capture() as caught:
        console.print(terminal_page([sheet]))
    assert "\N{HORIZONTAL ELLIPSIS}" not in caught.get()


def test_a_search_is_told_with_and_without_copies():
    name = {"source": "s", "model": "m", "epoch": 3, "split": "test"}
    near = {"query": "q", "by": "weights", "rank": 1, "distance": 0.5, "test_acc": 0.9, **name}
    copy = {"kind": "near", "distance": 0.01, **name} | {f"other_{k}": v for k, v in name.items()}
    shares = dict.fromkeys(("precision", "recall", "neighbours", "parents"), 0.5)
    counts = dict.fromkeys(("checkpoints", "models", "trajectories"), 3)
    found = search_sheets([near], [copy], [{"architecture": "cnn", **counts, **shares}])
    assert found[0].lines == (("1", "0.5000", "s:m@3", "test", "90.0"),)
    assert found[1].lines == (("near", "s:m@3", "s:m@3", "1.00e-02"),)
    assert found[2].header == ("network", "cnn")
    assert found[2].lines[2:4] == (("trajectories guessed", "3"), ("precision", "0.500"))
    assert search_sheets([], [], [])[0].remarks == ("none",)
    assert search_sheets([], None, []) == []


def test_a_page_shows_tables_figures_and_facts_whatever_their_names(tmp_path):
    sheet = Sheet("a | table", ("name", "n"), (("x|y", "1"),), ("a remark",))
    facts = {"seed": 3}
    write_page(tmp_path / "page.md", "Title", [sheet], facts, ["map.png", "map.html"])
    text = (tmp_path / "page.md").read_text()
    assert text.startswith("# Title\n")
    assert "![map.png](map.png)" in text
    assert "\n[map.html](map.html)" in text
    assert "x\\|y" in text
    assert "| seed | `3` |" in text
    console = Console(width=60)
    with console.capture() as caught:
        console.print(terminal_page([sheet, Sheet("empty", (), (), ("none",))]))
    assert all(part in caught.get() for part in ("a | table", "x|y", "a remark", "empty: none"))
