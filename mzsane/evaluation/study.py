"""Every way to get models, held against images by every protocol."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from joblib import effective_n_jobs

from mzsane.evaluation.baselines import NOISE_SCALES
from mzsane.evaluation.bench import Bench, Block
from mzsane.evaluation.families import expanded
from mzsane.evaluation.ledger import Ledger, stamp_of
from mzsane.evaluation.methods import Amounts, Case, Method
from mzsane.evaluation.misfits import misfit
from mzsane.evaluation.protocols import Ensembles, Protocol, ZeroShot, with_twins
from mzsane.evaluation.table import Row
from mzsane.evaluation.together import Share, Together
from mzsane.evaluation.workshop import Workshop
from mzsane.images import ImageSet
from mzsane.models import Sane
from mzsane.progress import Progress, silent
from mzsane.sampling import (
    Conditioning,
    Precision,
    Sampler,
    Selection,
    conditioning_of,
    warn_if_idle,
)
from mzsane.stores import TokenStore

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Study:
    """What is sampled from an autoencoder, what it is held against, and how.

    Models of every source and architecture are evaluated on every image set that suits a protocol;
    those that none suits, or that nobody knows how to build, are left out, and this is logged.
    Anchors, and the models from which novelty is measured, are of the stores' train split, held-out
    models of its test split.

    Args:
        stores: by source.
        images: loads each image set; the key is its name in the table.
        samplers: by the name of the method; one with several bandwidths is several methods of one
            family, see `expanded`.
        protocols: by the name in the table; `with_twins` adds what refinement is compared with.
        methods: which of them take part, by name; None is all.
        num_anchors: stored models that are sampled from; all if there are fewer.
        num_samples: models of each method, but for selections, which say how many survive.
        noise_scales: of the baselines ``anchor_noise_<scale>``, in standard deviations of each
            tensor.
        noise_candidates: anchors with noise of which the best on validation images become
            ``anchor_noise_<scale>_selected``, to hold against selections; None leaves these out.
        num_models: as the autoencoder was trained: models per source; None is all.
        epochs: as the autoencoder was trained: checkpoints of each model; None is all.
        halo: tokens of context on each side of a window, for models longer than the
            autoencoder's; None is an eighth of the window.
        precision: of the autoencoder's matrix products: ``float32``, or ``bfloat16`` by autocast.
            Gradients of refinement are taken in float32.
        conditioning: where running statistics of BatchNorm come from: see
            `mzsane.sampling.conditioning_of`. Where they are decoded, `mzsane.sampling.mend`
            makes variances positive, and baselines, which nobody decodes, take validation images.
        seed: each method's draws are a function of it, of source, architecture and method.
        workers: processes that evaluate; -1 takes every core.

    Raises:
        ValueError: an ensemble is larger than the samples of a method, fewer candidates than
            samples, or statistics should be decoded that are no tokens.
    """

    stores: Mapping[str, TokenStore]
    images: Mapping[str, Callable[[], ImageSet]]
    samplers: Mapping[str, Sampler | Selection]
    protocols: Mapping[str, Protocol] = field(default_factory=lambda: {"zero_shot": ZeroShot()})
    methods: Sequence[str] | None = None
    num_anchors: int = 30
    num_samples: int = 30
    noise_scales: Sequence[float] = NOISE_SCALES
    noise_candidates: int | None = None
    num_models: int | None = None
    epochs: Sequence[int] | None = None
    halo: int | None = None
    precision: Precision = "float32"
    conditioning: Conditioning | None = None
    seed: int = 0
    workers: int = -1

    def __post_init__(self) -> None:
        """Refuse what no method could give, before anything long begins."""
        for store in self.stores.values():
            for shelf in store.architectures:
                conditioning_of(self.conditioning, shelf.layout)
                warn_if_idle(self.conditioning, shelf.layout, shelf.source)
        if self.noise_candidates is not None and self.noise_candidates < self.num_samples:
            raise ValueError(
                f"evaluation.noise_candidates={self.noise_candidates}: fewer than the "
                f"{self.num_samples} models to choose; set evaluation.num_samples"
            )
        for name, protocol in self.protocols.items():
            if isinstance(protocol, Ensembles) and max(protocol.sizes) > self.num_samples:
                raise ValueError(
                    f"protocol.{name}.sizes={list(protocol.sizes)}: there are only "
                    f"{self.num_samples} models of each method; set evaluation.num_samples"
                )

    def run(
        self,
        model: Sane | None,
        step: int = 0,
        progress: Progress = silent,
        folder: Path | None = None,
        together: Together | None = None,
    ) -> list[Row]:
        """Rows of the results table; none if no architecture could be evaluated.

        Args:
            model: the autoencoder; left in the mode and on the device in which it came. None in a
                process that has none, and takes no share of the work.
            step: of its training, for the table.
            progress: is told how many blocks there are.
            folder: keeps finished blocks, so that an interrupted study goes on; see `Ledger`.
            together: processes that share the work; all must call this, and each gets all rows,
                which are those that one alone would get. None is this one alone.

        Raises:
            ValueError: a source has no training models, or a name in `methods` is unknown.
        """
        together = together or Together()
        share = together.share(able=model is not None)
        blocks = together.gather(
            lambda: [] if share is None else self._share(model, step, progress, folder, share)
        )
        ordered = sorted(blocks, key=lambda block: block[:2])
        return [row for block in ordered for row in block.rows]

    def misfits(self) -> list[str]:
        """Why which architectures cannot be evaluated, and what to do."""
        images, cases = self._loaded(), self._cases()
        return [misfit(case.shelf, images) for case in cases if not self._suits(case, images)]

    def _share(
        self, model: Sane, step: int, progress: Progress, folder: Path | None, share: Share
    ) -> list[Block]:
        """The blocks of this process."""
        images = self._loaded()
        ledger = Ledger(folder, self._stamp(model, step), share.rank)
        tasks = deque(self._tasks(model, images, share, ledger))
        blocks: list[Block] = []
        total = len(tasks) * len(with_twins(self.protocols))
        while tasks:  # taken out, so that what a finished architecture needed is forgotten
            number, bench, method = tasks.popleft()
            for block in bench.blocks(number, method, step, ledger):
                blocks.append(block)
                told = f"evaluating: {bench.shop.case.shelf.source}, {method.name}"
                progress(told, len(blocks), total)
        return blocks

    def _tasks(
        self, model: Sane, images: Sequence[ImageSet], share: Share, ledger: Ledger
    ) -> list[tuple[int, Bench, Method]]:
        """Methods of architectures that this process evaluates, with their numbers among all."""
        cases = [case for case in self._cases() if self._suits(case, images)]
        benches = (self._bench(model, case, images, share, ledger) for case in cases)
        tasks = ((bench, method) for bench in benches for method in bench.methods)
        return [(number, *task) for number, task in enumerate(tasks) if share.mine(number)]

    def _stamp(self, model: Sane, step: int) -> str:
        """Of everything that decides the rows but what a run's configuration holds fixed."""
        stores = [store.content_hash for store in self.stores.values()]
        amounts = (self.num_anchors, self.num_samples, self.precision, self.seed)
        return stamp_of(model, step, stores, *amounts)

    def _bench(
        self, model: Sane, case: Case, images: Sequence[ImageSet], share: Share, ledger: Ledger
    ) -> Bench:
        amounts = Amounts(
            self.num_anchors, self.num_samples, self.noise_scales, self.noise_candidates,
            self.halo, self.precision,
        )  # fmt: skip
        workers = _workers(self.workers, share)
        how = conditioning_of(self.conditioning, case.shelf.layout)
        shop = Workshop(
            model, case, amounts, expanded(self.samplers), self.seed, workers, how, ledger
        )
        return Bench(shop, with_twins(self.protocols), self.methods, images)

    def _loaded(self) -> list[ImageSet]:
        """Image sets under the names of the table."""
        return [replace(load(), name=name) for name, load in self.images.items()]

    def _cases(self) -> Iterator[Case]:
        """Architectures of which there are training models."""
        for store in self.stores.values():
            chosen = store.select("train", self.num_models, self.epochs)
            heldout = store.select("test", None, self.epochs)
            if not any(map(len, chosen)):
                raise ValueError(f"{store.name}: no models in its train split; store more models")
            for case in map(Case, store.architectures, chosen, heldout):
                if len(case.train):
                    yield case

    def _suits(self, case: Case, images: Iterable[ImageSet]) -> bool:
        """Whether any protocol can be followed; otherwise this is logged."""
        architecture, protocols = case.shelf.architecture, self.protocols.values()
        if architecture is not None and any(
            protocol.suits(architecture, one) for protocol in protocols for one in images
        ):
            return True
        LOG.warning("not evaluated: %s", misfit(case.shelf, list(images)))
        return False


def _workers(workers: int, share: Share) -> int:
    """Processes of this one, where several share the machine."""
    return workers if share.world == 1 else max(1, effective_n_jobs(workers) // share.world)
