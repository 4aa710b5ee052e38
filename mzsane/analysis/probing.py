"""The table of probes: every target from every kind of features, with what guessing achieves."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from mzsane.analysis.features import coordinates
from mzsane.analysis.plans import Plan, wanted_of
from mzsane.analysis.probes import Answer, predict, trivial
from mzsane.analysis.regressors import REGRESSORS, Split
from mzsane.analysis.scopes import Inputs, Scope, features_in, scopes_of
from mzsane.analysis.scores import METRICS, scored
from mzsane.analysis.targets import Target, constant, too_few, untold
from mzsane.progress import Progress
from mzsane.zoos import SPLITS

ALIGNED = ("embedding", "weights")  # features that depend on the order of channels
NAN = float("nan")
EMPTY: dict[str, Any] = {
    **dict.fromkeys(("scope", "target", "task", "features", "regressor", "metric"), ""),
    **dict.fromkeys(("value", "low", "high", "choice"), NAN),
    **{"columns": 0, "seed": 0},
    **dict.fromkeys((f"{split}_models" for split in SPLITS), 0),
    **dict.fromkeys((f"{split}_checkpoints" for split in SPLITS), 0),
    "note": "",
}
"""The columns of the table, in order."""


class Case(NamedTuple):
    """One target among the checkpoints of one scope, all of which know it."""

    scope: Scope
    target: Target
    rows: Bool[np.ndarray, " all"]
    split: np.ndarray  # of those rows
    models: np.ndarray  # of those rows, with their source


def probe(inputs: Inputs, plan: Plan, progress: Progress) -> list[dict[str, Any]]:
    """Predict properties of test models that no probe has seen.

    Splits are those of the zoo, by model, so that what the autoencoder was trained on and what the
    probes learn from are the same models. Training models are learned from, penalties chosen on
    validation models, numbers reported for test models.

    Returns:
        A row per scope, target, features, regressor and metric: ``value`` with ``low`` and ``high``
        (95 %, bootstrap over models); ``choice``, the penalty, number of trees or of steps;
        ``columns`` of the features; how many models and checkpoints each split has; ``note``: why
        there is no value, or what is to be known of it. Checkpoints that do not tell a target are
        left out, and counted in the note of a row that has no features.

    Raises:
        ValueError: unknown targets, features or regressors, or nothing can be probed.
    """
    targets, scopes = wanted_of(plan, inputs.columns), scopes_of(inputs)
    pairs = [(scope, target) for scope in scopes for target in targets]
    reasons = [_hopeless(target, scope, inputs) for scope, target in pairs]
    rows = [_row(*pair, note=why) for pair, why in zip(pairs, reasons, strict=True) if why]
    cases = [_case(*pair, inputs) for pair, why in zip(pairs, reasons, strict=True) if not why]
    if not cases:
        raise ValueError(f"nothing can be probed: {rows[0]['target']}: {rows[0]['note']}")
    total = len(cases) * (1 + len(plan.features))
    for done, found in enumerate(_results(cases, inputs, plan)):
        progress("probing", done, total)
        rows.extend(found)
    progress("probing", total, total)
    counted = ((case, untold(case.target, inputs.columns, case.scope.rows)) for case in cases)
    return rows + [_row(case.scope, case.target, note=note) for case, note in counted if note]


def _hopeless(target: Target, scope: Scope, inputs: Inputs) -> str:
    """Why a target cannot be probed in a scope; empty if it can."""
    training = scope.rows & (inputs.columns["split"] == "train")
    if reason := constant(target, scope.rows) or too_few(target, inputs.columns, scope.rows):
        return reason
    reason = constant(target, training)
    return reason and f"{reason} over the training models"


def _case(scope: Scope, target: Target, inputs: Inputs) -> Case:
    rows, columns = scope.rows & target.known, inputs.columns
    models = np.char.add(np.char.add(columns["source"][rows], "/"), columns["model"][rows])
    return Case(scope, target, rows, columns["split"][rows], models)


def _results(cases: Sequence[Case], inputs: Inputs, plan: Plan) -> Iterator[list[dict[str, Any]]]:
    """Rows of guessing, then of each kind of features, which are made once for all targets."""
    for case in cases:
        train = Split(np.empty(0), case.target.values[case.rows][case.split == "train"])
        answer = trivial(case.target.task, train, int((case.split == "test").sum()))
        guess = "mean" if case.target.task == "regression" else "majority"
        yield _judged(case, plan, answer, features="none", columns=0, regressor=guess)
    for scope in dict.fromkeys(case.scope.name for case in cases):
        own = [case for case in cases if case.scope.name == scope]
        for name in plan.features:
            seen = _Seen(name, own[0].scope, inputs)
            yield from (_answered(case, seen, plan) for case in own)


class _Seen:
    """Features of one scope; what linear models see of them is kept while the rows are the same."""

    def __init__(self, name: str, scope: Scope, inputs: Inputs) -> None:
        self.name, self.features = name, features_in(name, scope, inputs)
        self._scope, self._kept = scope.rows, (b"", np.empty(0))

    def by(self, regressor: str, case: Case) -> np.ndarray:
        """The matrix that a regressor is given of the rows of a case."""
        rows = case.rows[self._scope]
        if not REGRESSORS[regressor].scaled:
            return self.features.values()[rows]
        if self._kept[0] != rows.tobytes():
            seen = coordinates(self.features, rows, case.split == "train")
            self._kept = rows.tobytes(), seen
        return self._kept[1]


def _answered(case: Case, seen: _Seen, plan: Plan) -> list[dict[str, Any]]:
    """Rows of one target from one kind of features, by every regressor."""
    rows = []
    learned = case.target.values[case.rows][case.split == "train"]
    for regressor in plan.regressors:
        told = {"features": seen.name, "regressor": regressor}
        if seen.features is None:
            note = "columns mean other things in other networks; probed for each kind by itself"
            rows.append(_row(case.scope, case.target, **told, note=note))
            continue
        columns = seen.features.columns
        if note := REGRESSORS[regressor].refusal(case.target.task, learned, columns):
            rows.append(_row(case.scope, case.target, **told, columns=columns, note=note))
            continue
        answer = _predicted(case, seen.by(regressor, case), regressor, plan.seed)
        remark = case.scope.remark if seen.name in ALIGNED else ""
        rows.extend(_judged(case, plan, answer, **told, columns=columns, note=remark))
    return rows


def _predicted(case: Case, x: np.ndarray, regressor: str, seed: int) -> Answer:
    """Ask a probe about the test models; it is given features of these, and no target."""
    y = case.target.values[case.rows]
    train, validation = (
        Split(x[case.split == split], y[case.split == split]) for split in ("train", "validation")
    )
    asked = x[case.split == "test"]
    return predict(regressor, case.target.task, train, validation, asked, seed)


def _judged(case: Case, plan: Plan, answer: Answer, **told: Any) -> list[dict[str, Any]]:
    """A row for each metric."""
    test = case.split == "test"
    truth, models = case.target.values[case.rows][test], case.models[test]
    sizes = {
        **{f"{split}_models": len(set(case.models[case.split == split])) for split in SPLITS},
        **{f"{split}_checkpoints": int((case.split == split).sum()) for split in SPLITS},
    }
    rows = []
    for name, metric in METRICS[case.target.task].items():
        score = scored(metric, truth, answer.predicted, models, plan.seed, plan.resamples)
        found = {**score._asdict(), "metric": name, "choice": answer.choice, "seed": plan.seed}
        rows.append(_row(case.scope, case.target, **told, **found, **sizes))
    return rows


def _row(scope: Scope, target: Target, **told: Any) -> dict[str, Any]:
    """A row of the table; what is not told is missing."""
    return {**EMPTY, "scope": scope.name, "target": target.name, "task": target.task, **told}
