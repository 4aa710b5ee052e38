"""Draw new models from a pretrained autoencoder and write them as safetensors.

python -m mzsane.sample checkpoint=runs/train/TIME
python -m mzsane.sample checkpoint=RUN sampler=kde_joint num_samples=20 shelf=digits
python -m mzsane.sample checkpoint=RUN anchors=my_model.pt images=digits
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from mzsane.analysing import device_of
from mzsane.anchoring import loose_anchors, stored_anchors
from mzsane.checking import check
from mzsane.config import build_all
from mzsane.drawing import Task, drawn, selects, with_classes
from mzsane.entry import run
from mzsane.image_sets import Needs, images_for
from mzsane.opening import Opened, open_model
from mzsane.runs import DONE, claim, record
from mzsane.samples import Samples

if TYPE_CHECKING:
    from mzsane.sampling import Anchors, Sampler, Selection

NUM_SAMPLES = 10
IMAGES = ("train", "validation")  # splits that running statistics can be computed from


def sample(cfg: DictConfig) -> Path:
    """Write the samples of one configuration; returns their folder."""
    from mzsane.evaluation import Ledger, remove_blocks
    from mzsane.evaluation.ledger import stamp_of
    from mzsane.progress import bars

    folder = Path(HydraConfig.get().runtime.output_dir)
    check(cfg)
    with claim(folder):
        record(folder, cfg)
        task, provenance = prepared(cfg)
        samples = Samples(folder, provenance, f"{device_of(cfg.device)}")
        ledger = Ledger(folder, stamp_of(task.model, provenance))
        with bars() as progress:
            for first, (population, mended) in drawn(task, samples, ledger, progress):
                ready = with_classes(population, cfg.classes, cfg.seed, first)
                samples.write(first, ready, mended.tolist())
        told = samples.finish(folder / DONE)
        remove_blocks(folder)
    print(f"{folder}: {told}", flush=True)
    return folder


def prepared(cfg: DictConfig) -> tuple[Task, dict[str, Any]]:
    """Everything that a draw needs, and what is written about it.

    Raises:
        FileNotFoundError: there is no such autoencoder, zoo or checkpoint.
        ValueError: what is asked for does not fit together.
    """
    from mzsane.sampling import conditioning_of, warn_if_idle

    name, sampler = _sampler(cfg)  # mistakes are told before anything long begins
    n, device = _number(cfg, sampler), device_of(cfg.device)
    precision = _precision(cfg.precision)
    opened = open_model(cfg.checkpoint, cfg.heads)
    opened.model.to(device)
    print(f"{opened.name}: {opened.model.num_parameters:,} parameters", flush=True)
    window = opened.model.window
    halo = window // 8 if cfg.halo is None else cfg.halo
    decoding = {"window": window, "halo": halo, "precision": precision}
    found = (stored_anchors if cfg.anchors is None else loose_anchors)(opened, cfg, **decoding)
    anchors, origin = found
    print(f"{len(anchors)} anchors of {anchors.source}", flush=True)
    how = conditioning_of(cfg.conditioning, anchors.layout)
    warn_if_idle(cfg.conditioning, anchors.layout, anchors.source)
    needs = Needs(how in IMAGES, selects(sampler))
    images = images_for(opened, cfg, anchors, needs) if any(needs) else None
    task = Task(
        opened.model, anchors, name, sampler, n, cfg.seed,
        conditioning=getattr(images, how) if needs.conditioning else None,
        validation=images.validation if needs.selection else None,
        window=decoding,
        workers=cfg.workers,
    )  # fmt: skip
    told = {"decoding": decoding, "conditioning": how, "images": images.name if images else None}
    return task, _provenance(cfg, opened, anchors, origin) | told


def _provenance(
    cfg: DictConfig, opened: Opened, anchors: "Anchors", origin: dict[str, Any]
) -> dict[str, Any]:
    """Where the samples come from, as plain values."""
    return {
        "autoencoder": {"name": opened.name, "hash": opened.hash},
        "anchors": {"source": anchors.source, "names": list(anchors.names), **origin},
        "architecture": anchors.architecture.to_json() if anchors.architecture else None,
        "tokens": {key: getattr(anchors.layout, key) for key in ("size", "scheme", "batchnorm")},
        "sampler": OmegaConf.to_container(cfg.sampler, resolve=True),
        "seed": cfg.seed,
        "classes": cfg.classes,
    }


def _number(cfg: DictConfig, sampler: "Sampler | Selection") -> int:
    """How many models are written.

    Raises:
        ValueError: less than one, or more than a selection keeps.
    """
    kept = sampler.survivors if selects(sampler) else None
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


def main() -> None:
    """Entry point of `python -m mzsane.sample`."""
    run(sample, "sample")


if __name__ == "__main__":
    main()
