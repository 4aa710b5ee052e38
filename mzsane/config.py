"""Finds `conf/`, checks a configuration before anything is read, and builds what it names."""

import difflib
import inspect
import pkgutil
import types
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

from hydra.core.config_store import ConfigStore
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, ListConfig, OmegaConf

_PACKAGED = Path(__file__).parent / "conf"  # in a wheel
CONF_DIR = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parents[1] / "conf"


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and the way out."""


@dataclass
class Zoo:
    """What models are trained on: a composition is the union of its parts' sources."""

    sources: dict[str, Any] = field(default_factory=dict)
    token_size: int = 201  # entries per token, a row of the small CNNs; larger in zoos that need it
    window: int = 48  # tokens, a whole small CNN
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

    levels: list[str] = field(default_factory=list)
    format: str = MISSING
    map: str | None = None
    colours: list[str] | None = None
    per_layer: bool = True


@dataclass
class ProbeZoo(Analyse):
    """The top level of `conf/probe.yaml`."""

    targets: list[str] | None = None
    features: list[str] = field(default_factory=list)
    regressors: list[str] = field(default_factory=list)
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
    """Make known to Hydra the schemas that `conf/*.yaml` list first, `${or:a,b}`, `${over:a,b}`."""
    # the first that is not null: what the user says, else what the file says
    OmegaConf.register_new_resolver("or", _first, replace=True)
    OmegaConf.register_new_resolver("over", lambda a, b: a / b, replace=True)  # a quotient
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


def check(cfg: DictConfig) -> None:
    """Compare every `_target_` of a configuration with its signature.

    Raises:
        ConfigError: a target that does not exist, a key that its signature lacks, or a scalar of
            the wrong type; the message gives the full key.
    """
    known = [entry.name for entry in fields(OmegaConf.get_type(cfg) or Run)]
    for key in map(str, cfg):
        if key not in known:  # Hydra lets `+key=value` through
            raise ConfigError(f"{key}: there is no such section{suggest(key, known)}")
    for key in _idle(cfg.get("zoo")):
        raise ConfigError(f"zoo.{key}: no source of this zoo reads it; add zoo=folder")
    for name, source in cfg.get("zoo", {}).get("sources", {}).items():
        if "_target_" not in source:
            raise ConfigError(
                f"zoo.sources.{name}: settings of a source that this zoo does not have; add it "
                f"(zoo=[...,{name}]) or leave them out"
            )
    for path, node in _targets(cfg, ""):
        target = node["_target_"]
        try:
            signature = inspect.signature(_locate(target))
        except Exception as error:  # whatever the import of a user's module may raise
            raise ConfigError(f"{path}._target_: cannot find '{target}': {error}") from error
        _check_arguments(path, node, target.rpartition(".")[2], signature)


def _idle(zoo: DictConfig | None) -> list[str]:
    """What is told about a user's own zoo and read by none of the sources."""
    if zoo is None:
        return []
    read = str(OmegaConf.to_container(zoo.sources, resolve=False))
    told = ("path", "properties", "architecture", "symmetry")
    return [key for key in told if zoo[key] is not None and f"${{zoo.{key}}}" not in read]


def build(node: DictConfig, /, **runtime: Any) -> Any:
    """Construct what `node` names; `runtime` adds arguments known only during the run."""
    if not runtime:
        return instantiate(node, _convert_="all")
    # as a partial, because Hydra would turn dataclasses among `runtime` into configurations
    return instantiate(node, _convert_="all", _partial_=True)(**runtime)


def build_all(group: DictConfig, /, **runtime: Any) -> dict[str, Any]:
    """Construct every member of a group; a member set to null is left out."""
    return {str(name): build(node, **runtime) for name, node in group.items() if node is not None}


def suggest(name: str, known: list[str]) -> str:
    """`; did you mean 'x'?` where a known name is close, else the list of known names."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{close[0]}'?" if close else f"; there is: {', '.join(sorted(known))}"


def _locate(target: str) -> Any:
    """The object of a dotted path; a function goes before the module that shares its name."""
    module, _, name = target.rpartition(".")
    try:
        return pkgutil.resolve_name(f"{module}:{name}")
    except ModuleNotFoundError:  # a method: its class is no module
        return pkgutil.resolve_name(target)


def _targets(node: Any, path: str) -> Iterator[tuple[str, DictConfig]]:
    if isinstance(node, DictConfig):
        if node._is_none() or node._is_missing():
            return
        if "_target_" in node:
            yield path, node
        for key in node:
            if not OmegaConf.is_missing(node, key):
                yield from _targets(node[key], f"{path}.{key}" if path else str(key))
    elif isinstance(node, ListConfig) and not node._is_none():
        for place, item in enumerate(node):
            yield from _targets(item, f"{path}[{place}]")


def _check_arguments(path: str, node: DictConfig, name: str, signature: inspect.Signature) -> None:
    parameters = signature.parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    for key in map(str, node):
        if key.startswith("_") and key.endswith("_"):
            continue
        if key in parameters:
            value = None if OmegaConf.is_missing(node, key) else node[key]
            wanted = parameters[key].annotation
            if not OmegaConf.is_missing(node, key) and not _accepts(wanted, value):
                text = f"{path}.{key}: {value!r} is not {_spell(wanted)}"
                raise ConfigError(f"{text}, as {name}'s '{key}' must be")
        elif not open_ended:
            known = [k for k in parameters if k not in ("self", "args", "kwargs")]
            raise ConfigError(f"{path}.{key}: {name} has no '{key}'{suggest(key, known)}")


def _accepts(annotation: Any, value: Any) -> bool:
    """Whether a YAML value fits an annotation; only scalars are judged."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_accepts(option, value) for option in get_args(annotation))
    if origin is Literal:
        return value in get_args(annotation)
    if annotation is None or annotation is type(None):
        return value is None
    if annotation is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if annotation is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, annotation) if annotation in (bool, str) else True


def _spell(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, get_args(annotation)))
    if get_origin(annotation) in (Union, types.UnionType):
        return " or ".join(_spell(option) for option in get_args(annotation))
    return "null" if annotation is type(None) else getattr(annotation, "__name__", str(annotation))
