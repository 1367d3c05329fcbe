"""The files of a GLUE submission: which task and test split each one is made of.

The leaderboard names files, classes and columns; the study's tasks and splits are those of
`config/study/tasks.yaml`.
"""

from dataclasses import dataclass

ENTAILMENT = ("entailment", "not_entailment")
THREE_WAY = ("entailment", "neutral", "contradiction")


@dataclass(frozen=True)
class GlueFile:
    """One file of the zip: its task, the split's name there, the leaderboard's class names."""

    task: str
    split: str = "test"
    words: tuple[str, ...] | None = None
    optional: bool = False  # left out where the task has no such split
    schemas: bool = False  # lists WNLI's rows, answered as the schemas of WSC


GLUE = {
    "AX.tsv": GlueFile("mnli", "ax", THREE_WAY, optional=True),
    "CoLA.tsv": GlueFile("cola"),
    "MNLI-m.tsv": GlueFile("mnli", "matched", THREE_WAY),
    "MNLI-mm.tsv": GlueFile("mnli", "mismatched", THREE_WAY),
    "MRPC.tsv": GlueFile("mrpc"),
    "QNLI.tsv": GlueFile("qnli", words=ENTAILMENT),
    "QQP.tsv": GlueFile("qqp"),
    "RTE.tsv": GlueFile("rte", words=ENTAILMENT),
    "SST-2.tsv": GlueFile("sst2"),
    "STS-B.tsv": GlueFile("stsb"),
    "WNLI.tsv": GlueFile("wsc", schemas=True),
}
