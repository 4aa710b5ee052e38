"""Draw new models from a pretrained autoencoder and write them as safetensors.

python -m mzsane.sample checkpoint=runs/train/TIME
python -m mzsane.sample checkpoint=RUN sampler=kde_joint num_samples=20 shelf=digits
python -m mzsane.sample checkpoint=RUN anchors=my_model.pt images=digits
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mzsane.anchoring import Needs, images_for, loose_anchors, stored_anchors
from mzsane.config import build_all, check
from mzsane.entry import run
from mzsane.opening import Opened, open_model
from mzsane.runs import DONE, claim, record
from mzsane.samples import Samples

if TYPE_CHECKING:
    from mzsane.images import Split
    from mzsane.populations import Population
    from mzsane.sampling import Anchors, Sampler, Selection
    from mzsane.sampling.selecting import Judge

NUM_SAMPLES = 10
IMAGES = ("train", "validation")  # splits that running statistics can be computed from
TOGETHER = 2**24  # weights of the models that are decoded at a time
HEADS = 13  # purpose of the random draw, see docs/design.md


class Task(NamedTuple):
    """What is drawn from what, and how it is decoded.

    Attributes:
        opened: the autoencoder.
        anchors: around which is sampled.
        name: of the sampler.
        sampler: it.
        seed: of all draws.
        conditioning: images that running statistics are computed from; None leaves them.
        validation: images that a selection goes by; None where nothing is selected.
        window: `window`, `halo` and `precision` of decoding.
        workers: processes.
    """

    opened: Opened
    anchors: "Anchors"
    name: str
    sampler: "Sampler | Selection"
    seed: int
    conditioning: "Split | None"
    validation: "Split | None"
    window: dict[str, Any]
    workers: int


def sample(cfg: DictConfig) -> Path:
    """Write the samples of one configuration; returns their folder."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    check(cfg)
    with claim(folder):
        record(folder, cfg)
        task, provenance = prepared(cfg)
        samples = Samples(folder, provenance)
        for first, population in drawn(task, number_of(cfg, task.sampler), samples):
            samples.write(first, _with_classes(population, cfg.classes, cfg.seed, first))
        told = samples.finish(folder / DONE)
    print(f"{folder}: {told}", flush=True)
    return folder


def prepared(cfg: DictConfig) -> tuple[Task, dict[str, Any]]:
    """Everything that a draw needs, and what is written about it.

    Raises:
        FileNotFoundError: there is no such autoencoder, zoo or checkpoint.
        ValueError: what is asked for does not fit together.
    """
    from mzsane.sampling import conditioning_of

    opened = open_model(cfg.checkpoint, cfg.heads)
    print(f"{opened.name}: {opened.model.num_parameters:,} parameters", flush=True)
    window = opened.model.window
    halo = window // 8 if cfg.halo is None else cfg.halo
    decoding = {"window": window, "halo": halo, "precision": _precision(cfg.precision)}
    anchors = (stored_anchors if cfg.anchors is None else loose_anchors)(opened, cfg, **decoding)
    print(f"{len(anchors)} anchors of {anchors.source}", flush=True)
    name, sampler = _sampler(cfg)
    how = conditioning_of(cfg.conditioning, anchors.layout)
    needs = Needs(how in IMAGES, _selects(sampler))
    images = images_for(opened, cfg, anchors, needs) if any(needs) else None
    task = Task(
        opened, anchors, name, sampler, cfg.seed,
        conditioning=getattr(images, how) if needs.conditioning else None,
        validation=images.validation if needs.selection else None,
        window=decoding,
        workers=cfg.workers,
    )  # fmt: skip
    provenance = {
        "autoencoder": {"name": opened.name, "hash": opened.hash},
        "anchors": {"source": anchors.source, "names": list(anchors.names)},
        "architecture": anchors.architecture.to_json() if anchors.architecture else None,
        "tokens": {key: getattr(anchors.layout, key) for key in ("size", "scheme", "batchnorm")},
        "sampler": OmegaConf.to_container(cfg.sampler, resolve=True),
        "seed": cfg.seed,
        "decoding": decoding,
        "conditioning": how,
        "images": images.name if images else None,
        "classes": cfg.classes,
    }
    return task, provenance


def drawn(task: Task, n: int, samples: "Samples") -> "Iterator[tuple[int, Population]]":
    """The models a few at a time, each with the number of its first; what is written is skipped."""
    from mzsane.evaluation.streams import stream_of, torch_generator
    from mzsane.sampling import decode_models, select
    from mzsane.sampling.sampler import draw

    model, anchors = task.opened.model, task.anchors
    kind = anchors.architecture or anchors.layout
    names = (anchors.source, kind.fingerprint, task.name)
    generator = torch_generator(stream_of(task.seed, *names))
    if _selects(task.sampler):
        judge = _judge(task)
        selected = select(model, anchors, task.sampler, judge, generator, **task.window)
        samples.scored(selected.scores.tolist(), selected.broken)
        parts = iter(selected.latents[:n].split(_together(anchors)))
    else:
        one = task.sampler.fit(anchors.latents, anchors.layers)
        parts = (
            draw(one, anchors.latents, min(_together(anchors), n - first), generator)
            for first in range(0, n, _together(anchors))
        )
    first = 0
    for latents in parts:
        if not samples.has(first, len(latents)):
            population = decode_models(model, latents, anchors, **task.window)
            yield first, _conditioned(population, task)
        first += len(latents)


def number_of(cfg: DictConfig, sampler: "Sampler | Selection") -> int:
    """How many models are written.

    Raises:
        ValueError: less than one, or more than a selection keeps.
    """
    kept = sampler.survivors if _selects(sampler) else None
    n = cfg.num_samples if cfg.num_samples is not None else kept or NUM_SAMPLES
    if n < 1:
        raise ValueError(f"num_samples={n}: ask for at least one")
    if kept is not None and n > kept:
        raise ValueError(
            f"num_samples={n}: the selection keeps {kept}; ask for fewer, or more survivors"
        )
    return n


def _precision(word: str) -> str:
    if word not in ("float32", "bfloat16"):
        raise ValueError(f"precision={word}: choose float32 or bfloat16")
    return word


def _sampler(cfg: DictConfig) -> "tuple[str, Sampler | Selection]":
    """The one sampler that is named."""
    samplers = build_all(cfg.sampler)
    if len(samplers) != 1:
        raise ValueError(
            f"sampler=[{','.join(samplers)}]: name one; for several, repeat the command or use -m"
        )
    return next(iter(samplers.items()))


def _selects(sampler: "Sampler | Selection") -> bool:
    from mzsane.sampling import Selection

    return isinstance(sampler, Selection)


def _judge(task: Task) -> "Judge":
    from mzsane.evaluation.selecting import OnValidation

    return OnValidation(task.validation, task.conditioning, task.workers)


def _together(anchors: "Anchors") -> int:
    return max(1, TOGETHER // anchors.layout.parameters)


def _conditioned(population: "Population", task: Task) -> "Population":
    from mzsane.populations import condition

    if task.conditioning is None:
        return population
    return condition(population, task.conditioning, workers=task.workers)


def _with_classes(
    population: "Population", classes: int | None, seed: int, first: int
) -> "Population":
    """With a new classifier, whose weights are a function of the seed and the model's number."""
    import numpy as np

    from mzsane.populations import renew_head

    if classes is None:
        return population
    numbers = range(first, first + len(population))
    rngs = (np.random.default_rng([seed, HEADS, number]) for number in numbers)
    return renew_head(population, classes, [int(rng.integers(2**31)) for rng in rngs])


def main() -> None:
    """Entry point of `python -m mzsane.sample`."""
    run(sample, "sample")


if __name__ == "__main__":
    main()
