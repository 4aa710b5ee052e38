"""Samples models from the autoencoder in training and evaluates them."""

from contextlib import nullcontext
from pathlib import Path

import pytorch_lightning as pl

from mzsane.evaluation import Study, Together, read_rows, remove_blocks, write_rows
from mzsane.progress import bars, silent


class SampleAndEvaluate(pl.Callback):
    """Runs a study every n epochs and once training has ended, and keeps its rows.

    The study draws from generators of its own, so that training with and without this callback is
    bit-identical. The rows of the end replace those of earlier epochs at the same step. In a
    distributed run every process evaluates its share, and waits for the others for as long as it
    takes; where the model is divided among them, the first one evaluates alone. What has been
    evaluated before an interruption is kept beside the results.

    Args:
        study: samples, evaluates, and returns tidy rows.
        results: CSV file of all rows; `step` tells when they were made. There is none as long as
            nothing could be evaluated.
        every_n_epochs: 0 evaluates at the end only.
    """

    def __init__(self, study: Study, results: str | Path, every_n_epochs: int = 0) -> None:
        self.study, self.results, self.every_n_epochs = study, Path(results), every_n_epochs

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Prepare for sharing, while all processes are here."""
        self._together = Together.of_run()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate when this epoch is due; that of the last step is left to the end."""
        epoch = trainer.current_epoch + 1
        if trainer.sanity_checking:
            return
        due = self.every_n_epochs and epoch % self.every_n_epochs == 0
        if due and epoch != trainer.max_epochs and trainer.global_step != trainer.max_steps:
            self._evaluate(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Evaluate what training has made."""
        self._evaluate(trainer, pl_module)

    def _evaluate(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        model, folder = pl_module.whole_model(), self.results.parent
        with bars() if trainer.is_global_zero else nullcontext(silent) as progress:
            rows = self.study.run(model, trainer.global_step, progress, folder, self._together)
        if trainer.is_global_zero:
            earlier = read_rows(self.results) if self.results.exists() else []
            kept = [row for row in earlier if int(row["step"]) != trainer.global_step]
            if kept + rows:
                write_rows(self.results, kept + rows)
            remove_blocks(folder)
        self._together.share()  # none goes on before the results are written
