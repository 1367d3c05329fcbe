"""Put a finished result where people look for it.

Results are made under `runs/<scale>/results/<name>/<identity>.*`, where the identity stands for the
recipes of all scores shown. `results/` holds copies, one scale at a time. The other identities of
the same result are removed when one is published, at every scale: going back to an older recipe
then makes its (quick) result again instead of taking a file in `results/` for it.
"""

import argparse
from pathlib import Path

from study.command import add_log_argument, run_command
from study.manifest import write_atomic


def publish(sources: list[Path], targets: list[Path]) -> None:
    """Copy each source to its target, and forget what was published under these names before."""
    for source, target in zip(sources, targets, strict=True):
        write_atomic(target, source.read_bytes())
    folder = sources[0].parent
    place = folder.parts.index("results")
    runs, name = Path(*folder.parts[: place - 1]), "/".join(folder.parts[place:])
    for old in runs.glob(f"*/{name}/*"):
        if old.parent != folder or old.stem != sources[0].stem:
            old.unlink()


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.publish`."""
    parser = argparse.ArgumentParser(
        prog="python -m analysis.publish",
        description="Copy a finished result into results/.",
        epilog="example:\n  python -m analysis.publish runs/laptop/results/scores/0123456789ab.csv "
        "--to results/scores.csv",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", nargs="+", type=Path, help="files of one result")
    parser.add_argument("--to", nargs="+", type=Path, required=True, help="where, in their order")
    add_log_argument(parser)
    parsed = parser.parse_args(arguments)
    publish(parsed.sources, parsed.to)


if __name__ == "__main__":
    run_command(main)
