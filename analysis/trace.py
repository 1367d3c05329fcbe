"""The chain behind one number as text for a person: from the table back to the data files."""

from analysis.render import duration
from study.errors import StudyError

TEXTS = ("vocabulary", "store", "samples", "features", "selection", "tokens", "sentences")
STAGES = ("pretrain", *TEXTS)  # a pre-training may start from another one
FETCHED = ("weights", "source")
INDENT = "  "


def entry_of(record: dict, table: str, row: str, column: str) -> dict:
    """The entry of a number; StudyError names what there is where the name is not known."""
    rows = record["tables"][table]
    if row not in rows:
        raise StudyError(f"{table}: no row {row}; known: {', '.join(rows)}")
    if column not in rows[row]:
        known = ", ".join(rows[row]) or "nothing"
        raise StudyError(f"{table}.{row}: shows no {column}; it shows: {known}")
    entry = rows[row][column]
    if entry["cell"] is None:
        value = entry["shown"]["published"]
        raise StudyError(f"{table}.{row}.{column}: {value}, quoted from the paper; nothing was run")
    return entry


def shown_text(shown: dict) -> str:
    """`42.2 [38.9, 43.5]` or one value, with the published one."""
    text = number(shown["median"] if "median" in shown else shown["value"])
    if shown.get("min") is not None:
        text += f" [{number(shown['min'])}, {number(shown['max'])}]"
    return f"{text}, published {number(shown['published'])}"


def number(value: float | None) -> str:
    """A value with up to six digits, or a dash."""
    return "–" if value is None else f"{value:.6g}"


def run_lines(key: str, record: dict, indent: str) -> list[str]:
    """One run: its folder, then how it was computed, digests and notes."""
    run = record["runs"].get(key)
    if run is None:
        return [f"{indent}{key}: its manifest does not tell of it"]
    environment = record["environments"].get(run["environment"]) or {}
    device = run["device"] or "device unknown"
    if device == "cpu":
        device = f"{environment.get('processor') or 'cpu'}, {environment.get('cores')} cores"
    precision = f", {run['precision']}" if "precision" in run else ""
    code, started = run["code"] or "unknown", run["started"] or "unknown"
    seconds = run["wall_seconds"]
    took = "time unknown" if seconds is None else duration(seconds / 3600)
    lines = [
        f"{indent}{run['stage']} {run['folder']}",
        f"{indent}{INDENT}{took} on {device}{precision}; started {started}; code {code}",
    ]
    if "resumed_from" in run:
        lines.append(f"{indent}{INDENT}resumed from update {run['resumed_from']}: the time since")
    for name, digest in run.get("sha256", {}).items():
        lines.append(f"{indent}{INDENT}{name} sha256 {digest}")
    if "note" in run:
        lines.append(f"{indent}{INDENT}note: {run['note']}")
    return lines


def upstream(keys: list[str], record: dict) -> list[str]:
    """Keys of all runs that these read, directly or not, each once and none of these."""
    reached = list(keys)
    for key in reached:  # also over those that are added on the way
        for inputs in record["runs"].get(key, {}).get("inputs", {}).values():
            reached += [read for read in inputs if read not in reached]
    return reached[len(keys) :]


def replicate_lines(entry: dict, record: dict) -> list[str]:
    """Per pre-training seed: the pre-training, then its fine-tunings with their scores."""
    lines = []
    pairs_runs = entry.get("minimal_pairs", [])
    for place, key in enumerate(entry["pretraining"]):
        seed = record["runs"][key]["seed"]
        lines += ["", f"pre-training seed {seed}", *run_lines(key, record, INDENT)]
        for run in pairs_runs[place : place + 1]:
            lines += run_lines(run, record, INDENT)
        left_out = entry.get("left_out", [])
        for score in (*entry.get("scores", []), *left_out):
            if score["pretraining_seed"] == seed:
                told = f"fine-tuning seed {score['finetuning_seed']}: {number(score['value'])}"
                told += ", diverged" if "diverged" in score else ""
                told += ", not in the ensemble" if score in left_out else ""
                lines += [f"{INDENT}{told}", *run_lines(score["run"], record, INDENT * 2)]
    return lines


def source_lines(key: str, record: dict) -> list[str]:
    """A source, or weights: where they come from and their files with their digests."""
    run = record["runs"][key]
    place = " ".join(f"{name}={value}" for name, value in run.get("source", {}).items())
    lines = [f"{INDENT}{run['folder']}", f"{INDENT * 2}{place}"]
    for split, files in run.get("data", {}).items():
        lines += [f"{INDENT * 2}{split}: {name} sha256 {sha}" for name, sha in files.items()]
    if "note" in run:
        lines.append(f"{INDENT * 2}note: {run['note']}")
    return lines


def trace_text(record: dict, table: str, row: str, column: str) -> str:
    """The chain of one number of `record` (of `analysis.provenance`).

    Raises StudyError for a row or column that is not there, or that is quoted from the paper.
    """
    entry = entry_of(record, table, row, column)
    names = ("finetuning", "minimal_pairs", "pretraining", "selection")
    ends = [key for name in names for key in entry.get(name, [])]
    others = upstream(ends, record)
    lines = [
        f"{table}, {row}, {column}: {shown_text(entry['shown'])}",
        f"cell {entry['cell']} at scale {record['scale']} ({record['about']})",
        *replicate_lines(entry, record),
    ]
    for key in entry.get("selection", []):
        lines += ["", "chosen from its family by", *run_lines(key, record, INDENT)]
    stages = {key: record["runs"][key]["stage"] for key in others}
    lines += ["", "made from"]
    for stage in STAGES:
        for key in (key for key in others if stages[key] == stage):
            lines += run_lines(key, record, INDENT)
    lines += ["", "data"]
    for key in (key for key in others if stages[key] in FETCHED):
        lines += source_lines(key, record)
    used = {record["runs"][key]["environment"] for key in (*ends, *others)} - {None}
    lines += ["", "versions"]
    for key in sorted(used):
        versions = record["environments"][key]["versions"] or {}
        lines.append(INDENT + ", ".join(f"{name} {text}" for name, text in versions.items()))
    return "\n".join(lines)
