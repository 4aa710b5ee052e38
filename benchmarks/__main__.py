"""``python -m benchmarks [name ...] [--list] [--repeats 7] [--threads 2]``."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.registry import BENCHMARKS, Benchmark, described
from benchmarks.results import FOLDER, Settings, table, write


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmarks named, or all; print a table and keep a file of each."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"{min(unknown)}: no such benchmark; choose from {', '.join(BENCHMARKS)}")
    if options.list:
        print("\n".join(f"{name:<10} {described(run)}" for name, run in BENCHMARKS.items()))
        return
    if options.threads:
        torch.set_num_threads(options.threads)
    settings = Settings(options.seed, options.repeats, options.device, options.candidates)
    for name in options.names or BENCHMARKS:
        measure(name, BENCHMARKS[name], settings, options.folder)


def measure(name: str, benchmark: Benchmark, settings: Settings, folder: Path) -> None:
    """Run one benchmark, print its table, keep its file."""
    print(f"{name}: {described(benchmark)}", flush=True)
    measurements = benchmark(settings)
    print(f"{table(measurements)}\n{write(name, measurements, settings, folder)}\n", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure mzsane.")
    parser.add_argument("names", nargs="*", metavar="name", help="which; all when none is given")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--repeats", type=int, default=7, help="of each measurement (default 7)")
    parser.add_argument("--seed", type=int, default=0, help="of all inputs (default 0)")
    # where cores are shared, threads wait for each other and short work seems slow: take one
    parser.add_argument("--threads", type=int, help="of torch (default: one a core)")
    parser.add_argument("--device", default="cpu", help="of the training step (default cpu)")
    parser.add_argument(
        "--candidates", type=int, default=12, help="of a selection (default 12; published 200)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where results go")
    return parser


if __name__ == "__main__":
    main()
