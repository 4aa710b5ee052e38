"""Compares a configuration with the signatures that it names, before anything is read."""

import inspect
import pkgutil
import types
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Literal, Union, get_args, get_origin

from omegaconf import DictConfig, ListConfig, OmegaConf

from mzsane.config import suggest
from mzsane.schemas import Run

_BUILT = ("callbacks", "logger", "sampler", "protocol")  # groups of things that are made


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and the way out."""


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
    for group in _BUILT:
        for name, member in cfg.get(group, {}).items():
            if member is not None and "_target_" not in member:
                raise ConfigError(
                    f"{group}.{name}: settings of what {group}= does not choose; choose it, too, "
                    "or leave them out"
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
