"""Results and metrics in which everything that can be missing is missing once."""

import pytest

NAN = float("nan")


def result(method="kde", kind="sampler", images="digits", accuracy=0.5, novelty=0.4, **others):
    return {
        "source": "digits",
        "architecture": "CNN",
        "method": method,
        "kind": kind,
        "images": images,
        "split": "test",
        "model": 0,
        "accuracy": accuracy,
        "loss": 1.0,
        "novelty": novelty,
        "nearest": "m@3",
        "epochs": 0.0,
        "members": 1,
        "finite": int(accuracy == accuracy),
        "diversity": 0.8,
        "disagreement": 0.3,
        "agreement": 0.9,
        "error_overlap": 0.2,
        "anchors": 5,
        "seed": 0,
        "step": 600,
        **others,
    }


def statistic(method="kde", kind="sampler", images="digits", n=3, mean=0.5, std=0.125, **others):
    return {
        "source": "digits",
        "method": method,
        "images": images,
        "kind": kind,
        "n": n,
        "mean": mean,
        "std": std,
        "best": 0.75,
        "median": 0.5,
        "low": 0.4,
        "high": 0.6,
        "novelty": 0.4,
        **others,
    }


@pytest.fixture
def results():
    """Rows of two sources and two image sets; one method lacks novelty, one model accuracy."""
    return [
        result("heldout", "zoo", accuracy=0.9, novelty=1.1),
        result("heldout", "zoo", accuracy=0.8, novelty=0.9),
        result("average", "baseline", accuracy=0.3, novelty=NAN),
        result("noise", "baseline", accuracy=0.7, novelty=0.2),
        result("random", "baseline", accuracy=0.1, novelty=7.0),
        result("kde", accuracy=0.4, novelty=0.6),
        result("kde", accuracy=NAN, novelty=0.6),
        result("kde", accuracy=0.2, novelty=float("inf")),
        result("kde", images="printed", source="printed"),
    ]


@pytest.fixture
def metrics():
    """Two logged training steps and one validation."""
    return [
        {"epoch": 0, "step": 0, "train/loss": 2.0, "train/contrastive": 4.0, "train/norm": 1.0},
        {"epoch": 0, "step": 9, "train/loss": 1.0, "train/contrastive": 3.0},
        {"epoch": 0, "step": 9, "val/loss": 1.5, "val/contrastive": 3.5, "val/r2/digits": -40.0},
        {"epoch": 1, "step": 19, "val/loss": NAN, "val/contrastive": 3.5, "val/r2/digits": 0.5},
    ]


@pytest.fixture
def make_result():
    return result


@pytest.fixture
def make_statistic():
    return statistic
