"""The page that tells others what a pretrained model is: a model card of the Hugging Face hub."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Scalar = int | float | str | None


@dataclass(frozen=True)
class Card:
    """What is known of a model beside its weights; what is not known is left out of its page.

    Attributes:
        zoo: by source of the zoo that it was trained on, facts such as numbers of models.
        training: what decided the weights: seed, steps, token settings, commands.
        metrics: by `stage/quantity`.
        licence: of the weights, as the hub spells it (``mit``, ``cc-by-4.0``).
    """

    zoo: Mapping[str, Mapping[str, Scalar]] = field(default_factory=dict)
    training: Mapping[str, Scalar] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    licence: str | None = None


def page(card: Card, settings: Mapping[str, Any], parameters: int, version: str) -> str:
    """The text of README.md, of the same facts always the same.

    Args:
        card: facts of the training.
        settings: arguments of the model's constructor.
        parameters: trainable values.
        version: of mzsane.
    """
    parts = [
        _front_matter(card),
        "# SANE, an autoencoder of neural-network weights",
        f"{parameters:,} parameters, pretrained with mzsane {version} "
        "([arXiv:2406.09997](https://arxiv.org/abs/2406.09997), "
        "[arXiv:2504.10141](https://arxiv.org/abs/2504.10141)). It encodes the weights of "
        "networks, cut into tokens, into latents, and decodes them.",
        "```python\nfrom mzsane.models import Sane\n\n"
        'model = Sane.from_pretrained("this folder, or owner/name")\n'
        "latents = model.encode(tokens, positions)\n```",
        *(_section(f"Zoo: {name}", facts) for name, facts in card.zoo.items()),
        _section("Training", card.training),
        _section("Metrics", {name: f"{value:.4g}" for name, value in card.metrics.items()}),
        _section("Model", settings),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: Card) -> str:
    """What the hub reads, in YAML."""
    licence = [f"license: {card.licence}"] if card.licence else []
    lines = ["library_name: mzsane", *licence, "tags:", "- weight-space-learning", "- model-zoo"]
    return "\n".join(["---", *lines, "---"])


def _section(title: str, facts: Mapping[str, Any]) -> str:
    """A heading and a table; nothing where nothing is known."""
    rows = [f"| {_cell(name)} | {_cell(value)} |" for name, value in facts.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows]) if rows else ""


def _cell(value: Any) -> str:
    """A bar would begin another cell."""
    return str(value).replace("|", r"\|").replace("\n", " ")
