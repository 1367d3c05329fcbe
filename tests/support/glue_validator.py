"""A reader of GLUE submissions, after the leaderboard's published rules; knows nothing of ours."""

import csv
import io
import zipfile

BINARY = {"0", "1"}
ENTAILMENT = {"entailment", "not_entailment"}
THREE_WAY = {"entailment", "neutral", "contradiction"}
CLASSES = {
    **{"CoLA.tsv": BINARY, "MRPC.tsv": BINARY, "QQP.tsv": BINARY, "SST-2.tsv": BINARY},
    **{"WNLI.tsv": BINARY, "RTE.tsv": ENTAILMENT, "QNLI.tsv": ENTAILMENT},
    **{"MNLI-m.tsv": THREE_WAY, "MNLI-mm.tsv": THREE_WAY, "AX.tsv": THREE_WAY, "STS-B.tsv": None},
}
OPTIONAL = {"AX.tsv"}


def validate(archive: bytes, rows: dict[str, int]) -> list[str]:
    """What is wrong with a zip whose files must have these numbers of rows; empty if nothing is."""
    faults = []
    with zipfile.ZipFile(io.BytesIO(archive)) as found:
        names = set(found.namelist())
        faults += [f"{name}: missing" for name in sorted(set(CLASSES) - OPTIONAL - names)]
        faults += [f"{name}: no such file in GLUE" for name in sorted(names - set(CLASSES))]
        for name in sorted(names & set(CLASSES)):
            faults += _faults(name, found.read(name).decode(), rows)
    return faults


def _faults(name: str, text: str, rows: dict[str, int]) -> list[str]:
    header, *lines = csv.reader(io.StringIO(text), delimiter="\t")
    faults = [] if header == ["index", "prediction"] else [f"{name}: header {header}"]
    if name in rows and len(lines) != rows[name]:
        faults.append(f"{name}: {len(lines)} rows, expected {rows[name]}")
    for place, line in enumerate(lines):
        if len(line) != 2 or line[0] != str(place):
            faults.append(f"{name}: line {place}: {line}")
        elif CLASSES[name] is None:
            if not 0 <= float(line[1]) <= 5:
                faults.append(f"{name}: line {place}: {line[1]} is not in 0..5")
        elif line[1] not in CLASSES[name]:
            faults.append(f"{name}: line {place}: {line[1]} is no class")
    return faults
