"""The top level of every entry point's configuration, typed; its groups stay plain YAML."""

from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, OmegaConf


@dataclass
class Zoo:
    """What models are trained on: a composition is the union of its parts' sources."""

    sources: dict[str, Any] = field(default_factory=dict)
    token_size: int = 201  # entries per token, a row of the small CNNs; larger in zoos that need it
    window: int = 48  # tokens, a whole small CNN
    samples_per_epoch: int = 3200  # windows in an epoch of training
    training_epochs: int = 8  # of the autoencoder
    num_models: int | None = None  # per source, nested; None takes all
    epochs: list[int] | None = None  # checkpoints to use; None takes all
    filters: dict[str, Any] = field(default_factory=dict)  # see mzsane.zoos.filters
    mix: Any = "proportional"  # see mzsane.data.mixture
    build_models: int | None = None  # to train where a source is built; None: what its builder says
    build: bool = True  # make what is missing: models by training, stores from models
    download: bool = False  # fetch published zoos that are missing
    mirror: str | None = None  # where to fetch them instead
    path: str | None = None  # of zoo=folder: a folder, an archive, a Hugging Face repository
    format: str = "auto"  # see mzsane.zoos.read_zoo
    properties: str | None = None  # a table of them; None looks for one in the folder
    architecture: dict[str, Any] | None = None  # of all models of zoo=folder; None recognises them
    symmetry: Any = None  # groups by hand, see mzsane.symmetry; None traces
    trust_pickle: bool = False  # run code that checkpoints contain
    align: bool = True  # bring models into canonical form


@dataclass
class Inputs:
    """Where inputs lie and what seeds every draw: `conf/inputs.yaml`, for all entry points."""

    job: str = MISSING
    seed: int = 0
    data_dir: str = MISSING
    zoo_dir: str = MISSING
    store_dir: str = MISSING
    image_dir: str = MISSING
    workers: int = -1
    experiment: Any = None
    local: Any = None
    debug: Any = None


@dataclass
class BuildZoo(Inputs):
    """The top level of `conf/build_zoo.yaml`."""

    images: dict[str, Any] = field(default_factory=dict)
    architecture: dict[str, Any] = field(default_factory=dict)
    zoo_builder: dict[str, Any] = field(default_factory=dict)


@dataclass
class DownloadZoo(Inputs):
    """The top level of `conf/download.yaml`."""

    zoo: Zoo = field(default_factory=Zoo)


@dataclass
class Preprocess(Inputs):
    """The top level of `conf/preprocess.yaml`."""

    zoo: Zoo = field(default_factory=Zoo)
    tokens: dict[str, Any] = field(default_factory=dict)
    parallel: dict[str, Any] = field(default_factory=dict)


@dataclass
class UseModel(Preprocess):
    """What commands share that use a pretrained autoencoder, see `mzsane.opening`."""

    checkpoint: str | None = None  # run folder, checkpoint, folder of save_pretrained, owner/name
    heads: int | None = None  # of a published file, which does not tell


@dataclass
class Analyse(UseModel):
    """What `embed`, `probe` and `search` share, see `mzsane.analysing`."""

    resume: bool = True
    device: str = "auto"  # auto, cpu, cuda, ...
    window: int | None = None  # tokens in one pass; None: of the autoencoder
    halo: int | None = None  # tokens of context on each side; None: an eighth of the window


@dataclass
class EmbedZoo(Analyse):
    """The top level of `conf/embed.yaml`."""

    levels: Any = MISSING  # a name or a list of names, as wherever it says Any below
    format: str = MISSING
    map: str | None = None
    colours: Any = None
    per_layer: bool = True


@dataclass
class ProbeZoo(Analyse):
    """The top level of `conf/probe.yaml`."""

    targets: Any = None
    features: Any = MISSING
    regressors: Any = MISSING
    resamples: int = MISSING


@dataclass
class SearchZoo(Analyse):
    """The top level of `conf/search.yaml`."""

    query: str | None = None
    k: int = MISSING
    metric: str = MISSING
    tried: int = MISSING
    tried_each: int = MISSING
    copies: bool = True
    near: float = MISSING
    lineage: bool = True
    related: float = MISSING


@dataclass
class Sample(UseModel):
    """The top level of `conf/sample.yaml`."""

    resume: bool = True
    device: str = "auto"  # auto, cpu, cuda, ...
    anchors: str | None = None  # a file or folder of checkpoints; None takes stored models
    architecture: dict[str, Any] = field(default_factory=dict)  # theirs; empty recognises it
    align: bool = False  # them to the zoo's reference
    num_anchors: int = 30
    split: str = "train"  # of stored models
    shelf: str | None = None  # of stored models, where there are several architectures
    sampler: dict[str, Any] = field(default_factory=dict)
    num_samples: int | None = None  # None: 10, or the survivors of a selection
    halo: int | None = None  # tokens; None is an eighth of the window
    precision: str = "float32"  # or bfloat16
    images: dict[str, Any] = field(default_factory=dict)  # to condition and select on
    conditioning: str | None = None  # decoded, train, validation, none
    classes: int | None = None  # of a new classifier; None keeps the generated one


@dataclass
class Evaluate(UseModel):
    """The top level of `conf/evaluate.yaml`."""

    resume: bool = True
    device: str = "auto"  # auto, cpu, cuda, ...
    sampler: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    images: dict[str, Any] = field(default_factory=dict)  # an image set
    image_sets: dict[str, Any] = field(default_factory=dict)  # several by name
    evaluation: dict[str, Any] = field(default_factory=dict)


@dataclass
class Run(Preprocess):
    """The top level of `conf/train.yaml`: a misspelt section is an error."""

    resume: bool = True
    pretrained: str | None = None  # what `mzsane.opening` opens; None starts from random weights
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    loss: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    scheduler: dict[str, Any] = field(default_factory=dict)
    system: dict[str, Any] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    logger: dict[str, Any] = field(default_factory=dict)
    sampler: dict[str, Any] = field(default_factory=dict)
    protocol: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)


def register_schemas() -> None:
    """Make known to Hydra the schemas that `conf/*.yaml` list first, and the resolvers they use."""
    # the first that is not null: what the user says, else what the file says
    OmegaConf.register_new_resolver("or", _first, replace=True)
    OmegaConf.register_new_resolver("over", lambda a, b: a / b, replace=True)  # a quotient
    OmegaConf.register_new_resolver("epochs_unless", _epochs_unless, replace=True)
    schemas = {
        "train": Run, "preprocess": Preprocess, "build_zoo": BuildZoo, "download": DownloadZoo,
        "sample": Sample, "evaluate": Evaluate, "embed": EmbedZoo, "probe": ProbeZoo,
        "search": SearchZoo,
    }  # fmt: skip
    for name, schema in schemas.items():
        ConfigStore.instance().store(name=f"schema_{name}", node=schema)


def _first(a: Any, b: Any) -> Any:
    """`a`, or `b` where that is null; lists as OmegaConf takes them."""
    chosen = b if a is None else a
    return OmegaConf.create(chosen) if isinstance(chosen, list) else chosen


def _epochs_unless(max_steps: int | None, epochs: int) -> int | None:
    """How many epochs end a run; none do where a number of steps is given."""
    return epochs if max_steps is None or max_steps < 0 else None
