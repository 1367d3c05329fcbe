"""Results of one shape, a CSV with a line per run or per point: `analysis.listings pretraining`."""

import math
from collections.abc import Collection

import pandas as pd

from analysis.choices import compare_settings, read_selection
from analysis.command import add_study_arguments, csv_text, study_of
from analysis.minimal_pairs import read_minimal_pairs
from analysis.plateau import read_runs, transition
from analysis.scores import read_scores
from analysis.statistics.best_of import expected_best
from analysis.values import token_rates
from study.command import command_parser, run_command
from study.graph import Study
from study.manifest import MAYBE_NUMBER, NUMBER, load_manifest, write_atomic
from study.record import recorded

PRETRAINING_FIGURES = (
    "steps",
    "diverged",
    "heldout_loss",
    "heldout_perplexity",
    "heldout_nsp_accuracy",
    "heldout_nsp_majority",
    "tokens",
    "masked",
    "epochs",
    "parameters",
)
LEARNING_RATE_COLUMNS = (
    "scale",
    "family",
    "learning_rate",
    "cell",
    "pretraining_seed",
    "selected",
    "heldout_perplexity",
    "key",
)
COUNTS = ("documents", "sentences", "words", "characters", "bytes", "tokens", "unknown_tokens")


def read_pretraining(study: Study) -> pd.DataFrame:
    """Figures of every pre-training that a table shows; losses in nats per masked token.

    Perplexities are comparable between cells only where the vocabulary and the format agree.
    `steps` were done; `diverged` is the update whose loss was not finite, empty if there was none.
    `transition` are the tokens seen when the plateau of word frequencies was left
    (`analysis.plateau`), inf where it never was, empty where nothing tells.
    `heldout_perplexity.<corpus>` is that of one corpus, empty where it holds nothing out;
    `heldout_nsp_accuracy` and `heldout_nsp_majority`, the accuracy of always guessing the commoner
    label, are percent and empty without next-sentence prediction.
    """
    rows = []
    for job, run, entropy in read_runs(study, study.pretrain_jobs()):
        row = {
            "scale": study.scale,
            "cell": job.names["cell"],
            "pretraining_seed": job.names["seed"],
        }
        row |= {name: run.figure(name, kind=MAYBE_NUMBER) for name in PRETRAINING_FIGURES}
        row["transition"] = transition(run, entropy)
        for corpus in run.figure("corpora"):
            perplexity = run.figure("corpora", corpus, "perplexity", kind=MAYBE_NUMBER)
            row[f"heldout_perplexity.{corpus}"] = perplexity
        rows.append({**row, "key": run.key})
    frame = pd.DataFrame(rows)
    return frame[[*frame.columns.drop("key"), "key"]]


def read_learning_rates(study: Study, families: Collection[str] | None = None) -> pd.DataFrame:
    """Held-out perplexity of every member of these families, or of all, and whether it was chosen.

    The perplexity of a pre-training that diverged is empty. `expected_best_of_<n>` is the lowest
    that n of the family's rates are expected to reach, by their medians over replicates
    (`analysis.statistics.best_of`); empty where one has none. Raises StudyError for results of
    another recipe.
    """
    rows = []
    for name in study.config.families if families is None else families:
        family = study.config.families[name]
        winner = read_selection(study, name)
        for rate, cell in family.members.items():
            for job in study.pretrain_jobs([cell]):
                run = load_manifest(job.path, key=job.key, stage="pretrain")
                perplexity = run.figure("heldout_perplexity", kind=MAYBE_NUMBER)
                seed = job.names["seed"]
                row = (study.scale, name, rate, cell, seed, cell == winner, perplexity, job.key)
                rows.append(row)
    frame = pd.DataFrame(rows, columns=LEARNING_RATE_COLUMNS)
    reached = frame.assign(reached=frame["heldout_perplexity"].astype(float).fillna(math.inf))
    medians = reached.groupby(["family", "cell"], sort=False)["reached"].median()
    return with_expected_best(frame, ["family"], medians, lower_is_better=True)


def with_expected_best(
    frame: pd.DataFrame, grid: list[str], points: pd.Series, lower_is_better: bool = False
) -> pd.DataFrame:
    """`frame` with a column `expected_best_of_<n>` for every number of points that a grid has.

    `grid` are its columns that name a grid; `points` hold a number per point, with `grid` among the
    levels of their index. Of a smaller grid the last columns are empty.
    """
    sign, lines = -1 if lower_is_better else 1, []
    for names, values in points.groupby(level=grid, sort=False):
        curve = sign * expected_best(sign * values)
        best = {f"expected_best_of_{number}": value for number, value in enumerate(curve, start=1)}
        lines.append({**dict(zip(grid, names, strict=True)), **best})
    if not lines:
        return frame
    return frame.merge(pd.DataFrame(lines), on=grid, how="left", validate="many_to_one")


def read_corpora(study: Study) -> pd.DataFrame:
    """Counts of every token store that a cell of a table is trained on, per corpus and split.

    Tokens are those of the mixture's vocabulary (sections 3.2 and 4.4); `fertility` is tokens per
    white-space-separated word, `unknown_rate` percent of the tokens.
    """
    rows = []
    for job in study.store_jobs():
        store = load_manifest(job.path, key=job.key, stage="store")
        for split in ("train", "heldout"):
            for corpus in dict.fromkeys(store.recipe["corpora"]):
                counts = {name: store.figure(split, corpus, name, kind=NUMBER) for name in COUNTS}
                rates = token_rates(counts["words"], counts["tokens"], counts["unknown_tokens"])
                rows.append(
                    {
                        "scale": study.scale,
                        "data": "+".join(job.names["data"]),
                        "vocabulary": job.names["vocabulary"],
                        "corpus": corpus,
                        "split": split,
                        **counts,
                        **rates,
                        "key": store.key,
                    }
                )
    return pd.DataFrame(rows)


def read_settings(study: Study) -> pd.DataFrame:
    """`compare_settings` of every cell and task that a table shows, and what the best of n settings
    is expected to reach, by their medians; empty where one has none.
    """
    scores = read_scores(study, study.all_table_jobs(), "results/settings.csv")
    compared = compare_settings(study, scores)
    medians = compared.set_index(["cell", "task", "setting"])["median"]
    return with_expected_best(compared, ["cell", "task"], medians)


def read_all_minimal_pairs(study: Study) -> pd.DataFrame:
    """`read_minimal_pairs` of every pre-training whose minimal pairs a table shows."""
    return read_minimal_pairs(study, study.all_minimal_pairs_jobs())


LISTINGS = {
    "pretraining": read_pretraining,
    "learning_rates": read_learning_rates,
    "corpora": read_corpora,
    "settings": read_settings,
    "minimal_pairs": read_all_minimal_pairs,
}


def main(arguments: list[str] | None) -> None:
    """Command line of `python -m analysis.listings`."""
    parser = command_parser(
        "analysis.listings",
        "Write the figures of a study's pre-trainings, learning-rate grids, corpora, minimal "
        "pairs, or the medians of all fine-tuning settings and which of them count.",
        "python -m analysis.listings corpora --scale laptop --output results/corpora.csv",
    )
    parser.add_argument("listing", choices=LISTINGS)
    add_study_arguments(parser)
    parsed = parser.parse_args(arguments)
    study = study_of(parsed)
    with recorded(study, parsed.listing, parsed.output) as due:
        if due:
            write_atomic(parsed.output, csv_text(LISTINGS[parsed.listing](study)))


if __name__ == "__main__":
    run_command(main)
