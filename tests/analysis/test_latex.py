"""Tables in LaTeX: the source of a small one, and that all of a study fit their column and page."""

import contextlib
import os
import re
import shutil
import subprocess
from unittest import mock

import pytest
import results_toy
from predictions_toy import publish_seeds

from analysis.hyperparameters import hyperparameter_files
from analysis.latex import escape_latex, latex_table, to_latex
from analysis.render import DASH, Field, Grid, Head
from analysis.table import table_files
from study.graph import Study

LINGUISTICS_TERMS = (
    *("anaphor_agreement", "argument_structure", "binding", "control_raising", "ellipsis"),
    *("determiner_noun_agreement", "filler_gap_dependency", "irregular_forms", "quantifiers"),
    *("island_effects", "npi_licensing", "subject_verb_agreement"),
)
SCORES = Grid(
    "Formats & losses",
    [Head("SQuAD 1.1", "F1"), Head("Accuracy", "accuracy"), Head("steps")],
    [
        ("PAIRS", [Field("73.8", ("[70.6, 77.1]",), "90.4"), Field("9.5"), Field("1,800")]),
        ("BERT_BASE", [Field(published="88.5"), Field(), Field()]),
    ],
    rules=[1],
)


def compiled(sources, folder):
    """What LaTeX says of a document with these tables in a column of 5.5 inches; its pages.

    Skipped without LaTeX; with REQUIRE_LATEX=1, as in .ci/run, that is a failure.
    """
    if shutil.which("pdflatex") is None:
        if os.environ.get("REQUIRE_LATEX"):
            pytest.fail("REQUIRE_LATEX is set, but there is no pdflatex")
        pytest.skip("no pdflatex")
    body = "\n\\clearpage\n".join(sources)
    text = (
        "\\documentclass[11pt]{article}\n\\setlength{\\textwidth}{5.5in}\n"
        "\\usepackage{booktabs,siunitx,rotating}\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    (folder / "tables.tex").write_text(text)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    for _ in range(2):  # the second time with references
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    log = (folder / "tables.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    return log, int(re.search(r"Output written on tables.pdf \((\d+) page", log)[1])


def assert_fits(log):
    """Nothing is wider than the column or higher than the page, and no reference is open."""
    assert not re.findall(r".*(?:Overfull|too large|undefined|Missing character).*", log)


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """The LaTeX of every table of a finished demo study, by name."""
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(results_toy.ROOT / "config", folder / "config")
    groups = {term: {"pairs": 4, "accuracy": 75.0, "ties": 0} for term in LINGUISTICS_TERMS}
    pairs = {**results_toy.FIGURES["minimal_pairs"], "groups": {"linguistics_term": groups}}
    with (
        contextlib.chdir(folder),
        mock.patch.dict(results_toy.FIGURES, minimal_pairs=pairs),
    ):
        study = Study("demo", replicates=3)
        results_toy.write_study(study)
        for column in study.config.tables["table5"].score_columns:
            task = study.submitted_row.task_of(column)
            for job in study.score_jobs([study.submitted_row.cell], [task]):
                publish_seeds(job, 61.0)
        files = {name: table_files(study, name) for name in study.config.tables}
        for name in study.config.hyperparameter_tables:
            files[name] = hyperparameter_files(study, name)
    return {name: latex for name, (_, _, latex) in files.items()}


def test_every_table_of_the_demo_study_fits_its_column_and_page(tables, tmp_path):
    log, pages = compiled(tables.values(), tmp_path)
    assert_fits(log)
    assert {"table1", "table5", "table10", "table_heldout"} <= set(tables)
    assert len(tables) <= pages <= 2 * len(tables)


def test_tables_have_labels_metrics_and_notes_below(tables):
    for name, text in tables.items():
        assert f"\\label{{tab:{name}}}" in text
        captions = re.findall(r"\\caption\{(.*)\}", text)
        assert not [caption for caption in captions if "Scale: demo" in caption]
        assert text.index("\\end{tabular}") < text.index("Scale: demo")
    assert "; publ.: the published value" in tables["table2"] and "slash" not in tables["table2"]
    assert "{\\scriptsize Matthews}" in tables["table5"]
    assert "{\\scriptsize exact" in tables["table6"]


def test_a_table_with_a_baseline_has_differences_with_their_signs(tables):
    text = tables["pretraining_effect"]
    labels = re.findall(r"\\label\{(.*)\}", text)
    assert labels == [
        "tab:pretraining_effect",
        "tab:pretraining_effect-means",
        "tab:pretraining_effect-differences",
    ]
    means, differences = text.split("\\begin{table}")[2:]
    assert "not in the paper): means over replicates}" in means
    assert "retain-explicit-plus" in differences and "retain-explicit-plus" not in means
    assert re.search(r"SENTENCE-PAIR & [+-]\d+\.\d & ", differences)
    assert re.search(r"\{\\scriptsize \[\$-\$\d+\.\d, [+]?[\d$]", differences)
    assert re.search(r"\{\\scriptsize p (=|\\textless\{\}) 0\.\d{3}\}", differences)
    assert re.search(r"\{\\scriptsize (better|worse|equivalent|undecided)\}", differences)


def test_the_source_of_a_table():
    assert (
        latex_table("formats", SCORES, ["Of 5 % of all."])
        == r"""\begin{table}
\centering
\caption{Formats \& losses}
\label{tab:formats}\smallskip
{\small
\begin{tabular}{@{}l@{\hspace{8pt}}S[table-format=2.1]@{\hspace{6pt}}S[table-format=2.1]@{\hspace{8pt}}S[table-format=1.1]@{\hspace{8pt}}S[table-format=4]@{}}
\toprule
 & \multicolumn{2}{@{}c@{\hspace{8pt}}}{SQuAD 1.1} &  &  \\
 & \multicolumn{2}{@{}c@{\hspace{8pt}}}{{\scriptsize F1}} & {Accuracy} & {steps} \\
\cmidrule(r{8pt}){2-3}
 & {\scriptsize ours} & {\scriptsize publ.} &  &  \\
\midrule
PAIRS & 73.8 & 90.4 & 9.5 & 1800 \\
 & \multicolumn{2}{@{}c@{\hspace{8pt}}}{{\scriptsize [70.6, 77.1]}} &  &  \\
\midrule
BERT\_BASE &  & 88.5 &  &  \\
\bottomrule
\end{tabular}
\par}\smallskip
{\scriptsize\raggedright
Of 5 \% of all.\par
}
\end{table}
"""
    )


def test_what_is_no_aligned_number_keeps_its_form():
    fields = [Field("1e-06"), Field("failed"), Field(DASH), Field("8,192")]
    rows = [(str(number), [field]) for number, field in enumerate(fields)]
    aligned = latex_table("x", Grid("x", [Head("x")], rows), [])
    assert "S[table-format=4]" in aligned
    assert [line for line in aligned.splitlines() if line[:1].isdigit()] == [
        r"0 & {\num{1e-06}} \\",
        r"1 & {failed} \\",
        r"2 & {--} \\",
        r"3 & 8192 \\",
    ]
    assert r"3 & {\num{8192}} \\" in latex_table("x", Grid("x", [Head("x")], rows, (), False), [])


def grid_of(columns, rows, said="[70.6, 77.1]", label="a row with a label of some length"):
    heads = [Head(f"a long label, number {number}", "accuracy") for number in range(columns)]
    field = Field("73.8", (said, "(2 failed)"), "90.4")
    return Grid("A table", heads, [(label, [field] * columns)] * rows)


@pytest.mark.parametrize(("columns", "rows"), [(1, 1), (1, 90), (9, 9), (30, 4), (9, 30)])
def test_tables_of_any_size_fit(columns, rows, tmp_path):
    notes = ["A note of many words that say little, to fill the lines of a page. " * 6] * 12
    grids = [grid_of(columns, rows), grid_of(columns, rows, "[-0.300, +0.073]")]
    log, _ = compiled([to_latex("any", grids, notes)], tmp_path)
    assert_fits(log)


def test_a_table_is_turned_where_that_halves_its_floats():
    assert latex_table("x", grid_of(4, 4), []).count("\\begin{table}") == 1
    wide = latex_table("x", grid_of(7, 7), [])
    assert wide.count("\\begin{sidewaystable}") == 1
    assert wide.count("\\begin{tabular}") == 1
    many = latex_table("x", grid_of(6, 90), [])
    assert many.count("\\label{tab:x}") == 1
    assert many.count("Table~\\ref{tab:x}, continued") == many.count("\\end{table}") - 1 > 0


def test_rows_without_anything_in_a_block_are_left_out():
    empty = [("nothing", [Field()]), ("dash", [Field(published="")])]
    text = latex_table("x", Grid("x", [Head("x")], [("full", [Field("1")]), *empty], [1]), [])
    assert "nothing" not in text and "dash" not in text
    assert text.count("\\midrule") == 1


def test_labels_cannot_break_a_table():
    text = latex_table("x", Grid("one\ntwo", [Head("a")], [("x\ny", [Field("1")])]), ["th\nree"])
    assert "x y & 1 \\\\\n" in text and "\\caption{one two}" in text and "th ree\\par" in text


def test_special_characters_are_escaped(tmp_path):
    assert escape_latex("a_b & 5 % #1 {x}") == r"a\_b \& 5 \% \#1 \{x\}"
    assert not re.search(r"(?<!\\)[&%#_]", escape_latex("&%#_"))
    odd = '[a] *b* <c> "d" `e` |f| ~g ^h \\i $j € × ≥ ± é – … two\nlines'
    grid = Grid(odd, [Head(odd, odd)], [(odd, [Field(odd, (odd,), odd)])])
    text = latex_table("odd", grid, [odd])
    log, _ = compiled([text], tmp_path)
    assert "undefined" not in log and "Missing" not in log
