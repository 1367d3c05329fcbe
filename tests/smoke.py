"""Real parquet files in the hub's layout, columns and labels, small enough for seconds.

`python tests/smoke.py DIR` writes them, for a try by hand:
snakemake --cores 2 --config scale=smoke mirror=DIR -- results/table2.csv
"""

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).parent.parent

TABLE = "results/table2.csv"
PARTS = [
    *("Snakefile", "environment.yml", "rules", "config", "profiles", "slurm"),
    *("study", "language", "model", "analysis", "roberta_ablations"),
]

NAMES = ["Anna", "Boris", "Clara", "David", "Elena", "Felix", "Greta", "Henry", "Irene", "Jonas"]
PLACES = ["Leeds", "Oslo", "Turin", "Lyon", "Porto", "Ghent", "Graz", "Bath"]
THINGS = ["lamp", "boat", "letter", "violin", "map", "clock", "garden", "bridge"]
COLOURS = ["red", "green", "blue", "white", "black", "grey"]
GOOD = ["charming", "bright", "moving", "clever", "warm"]
BAD = ["dull", "cold", "clumsy", "tired", "flat"]


def fact(draw: random.Random) -> tuple[str, str, str, str]:
    """A sentence, a question about it, the answer, and an answer that is wrong."""
    name, thing = draw.choice(NAMES), draw.choice(THINGS)
    colour, other = draw.sample(COLOURS, 2)
    return (
        f"{name} bought a {colour} {thing} in {draw.choice(PLACES)}.",
        f"What colour was the {thing} that {name} bought?",
        colour,
        other,
    )


def document(draw: random.Random, sentences: int) -> str:
    """Plain text with a paragraph break every few sentences."""
    parts = []
    for i in range(sentences):
        text, *_ = fact(draw)
        if i % 3 == 2:
            text = f"It was a {draw.choice(GOOD + BAD)} day, and {draw.choice(NAMES)} went home."
        parts.append(text + ("\n\n" if i % 5 == 4 else " "))
    return "".join(parts).strip()


def write(folder: Path, data_set: str, split: str, columns: dict, shards: int = 1) -> None:
    """Write one split as `<repo>/<config>/<split>-0000i-of-0000n.parquet`."""
    table = pa.table(columns)
    target = folder / data_set
    target.mkdir(parents=True, exist_ok=True)
    rows = -(-table.num_rows // shards)
    for shard in range(shards):
        path = target / f"{split}-{shard:05d}-of-{shards:05d}.parquet"
        pq.write_table(table.slice(shard * rows, rows), path)


def write_corpora(folder: Path, draw: random.Random) -> None:
    """Two corpora: a few long documents, many short ones."""
    books = [document(draw, 150) for _ in range(8)]
    write(
        folder,
        "bookcorpus-like/gutenberg/plain_text",
        "train",
        {"text": books, "title": [f"Book {i}" for i in range(len(books))]},
    )
    articles = [document(draw, draw.randint(4, 20)) for _ in range(80)]
    numbers = [str(i) for i in range(len(articles))]
    write(
        folder,
        "wikimedia/wikipedia/20231101.en",
        "train",
        {
            "id": numbers,
            "url": [f"https://example.org/{i}" for i in numbers],
            "title": [f"Article {i}" for i in numbers],
            "text": articles,
        },
        shards=2,
    )


def squad_columns(draw: random.Random, count: int, unanswerable: float) -> dict:
    """SQuAD's columns; a share of the questions asks for what the passage does not say."""
    rows = []
    for i in range(count):
        facts = [fact(draw) for _ in range(4)]
        context = " ".join(text for text, *_ in facts)
        sentence, question, answer, _ = draw.choice(facts)
        start = context.index(sentence) + sentence.index(answer)
        answers = {"text": [answer], "answer_start": [start]}
        if draw.random() < unanswerable:
            question = f"What colour was the piano that {draw.choice(NAMES)} sold?"
            answers = {"text": [], "answer_start": []}
        rows.append((f"q{i:05d}", f"Title {i}", context, question, answers))
    identifiers, titles, contexts, questions, answers = zip(*rows, strict=True)
    struct = pa.struct([("text", pa.list_(pa.string())), ("answer_start", pa.list_(pa.int32()))])
    return {
        "id": list(identifiers),
        "title": list(titles),
        "context": list(contexts),
        "question": list(questions),
        "answers": pa.array(list(answers), struct),
    }


def mnli_columns(draw: random.Random, count: int) -> dict:
    """Entailment 0, neutral 1, contradiction 2."""
    premises, hypotheses, labels = [], [], []
    for i in range(count):
        text, _, answer, other = fact(draw)
        label = i % 3
        changed = [text, f"{draw.choice(NAMES)} likes music.", text.replace(answer, other, 1)]
        premises.append(text)
        hypotheses.append(changed[label])
        labels.append(label)
    return {
        "premise": premises,
        "hypothesis": hypotheses,
        "label": labels,
        "idx": list(range(count)),
    }


def sst2_columns(draw: random.Random, count: int) -> dict:
    """Negative 0, positive 1."""
    labels = [i % 2 for i in range(count)]
    sentences = [
        f"a {draw.choice(GOOD if label else BAD)} film about a {draw.choice(THINGS)} "
        for label in labels
    ]
    return {"sentence": sentences, "label": labels, "idx": list(range(count))}


def race_columns(draw: random.Random, count: int) -> dict:
    """Four options; the identifier tells middle from high school."""
    rows = []
    for i in range(count):
        facts = [fact(draw) for _ in range(4)]
        _, question, answer, _ = draw.choice(facts)
        options = [answer, *draw.sample([c for c in COLOURS if c != answer], 3)]
        draw.shuffle(options)
        question = "The colour was _ ." if i % 4 == 0 else question
        level = "middle" if i % 3 == 0 else "high"
        article = " ".join(text for text, *_ in facts)
        rows.append((f"{level}{i}.txt", article, "ABCD"[options.index(answer)], question, options))
    identifiers, articles, answers, questions, options = zip(*rows, strict=True)
    return {
        "example_id": list(identifiers),
        "article": list(articles),
        "answer": list(answers),
        "question": list(questions),
        "options": [list(four) for four in options],
    }


def unlabelled(columns: dict) -> dict:
    """A test split: the hub has -1 for its labels."""
    return {**columns, "label": [-1] * len(columns["label"])}


def write_hub(folder: str | Path, seed: int = 0) -> Path:
    """Write both corpora and all five tasks under `folder`; the same bytes for the same seed."""
    folder, draw = Path(folder), random.Random(seed)
    write_corpora(folder, draw)
    for name, config, unanswerable in (("squad", "plain_text", 0.0), ("squad_v2", "squad_v2", 0.4)):
        for split, count in (("train", 48), ("validation", 24)):
            columns = squad_columns(draw, count, unanswerable)
            write(folder, f"rajpurkar/{name}/{config}", split, columns)
    for split, count in (("train", 60), ("validation_matched", 30)):
        write(folder, "nyu-mll/glue/mnli", split, mnli_columns(draw, count))
    for split, count in (("train", 64), ("validation", 32)):
        write(folder, "nyu-mll/glue/sst2", split, sst2_columns(draw, count))
    for split, count in (("train", 24), ("validation", 12)):
        write(folder, "ehovy/race/all", split, race_columns(draw, count))
    write(folder, "nyu-mll/glue/mnli", "validation_mismatched", mnli_columns(draw, 12))
    for split in ("test_matched", "test_mismatched"):
        write(folder, "nyu-mll/glue/mnli", split, unlabelled(mnli_columns(draw, 6)))
    write(folder, "nyu-mll/glue/sst2", "test", unlabelled(sst2_columns(draw, 6)))
    write(folder, "nyu-mll/glue/ax", "test", unlabelled(mnli_columns(draw, 6)))
    return folder


def copy_project(target: Path) -> Path:
    """Copy the parts of the project that a run needs, without what earlier runs left.

    With their dates, so that what Python has compiled of them need not be compiled again.
    """
    target.mkdir(parents=True)
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, target / part)
        else:
            shutil.copy(source, target / part)
    return target


def snakemake(project: Path, *arguments: str, mirror: str = "hub") -> subprocess.CompletedProcess:
    """Run snakemake at smoke scale in a project."""
    *options, target = arguments
    settings = ["--cores", "2", "--config", "scale=smoke", f"mirror={mirror}"]
    return subprocess.run(
        [sys.executable, "-m", "snakemake", *options, *settings, "--", target],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


def planned(project: Path, target: str = TABLE, mirror: str = "hub") -> dict[str, list[str]]:
    """What a dry run would do: rule -> manifests or results, without keys."""
    result = snakemake(project, "-n", target, mirror=mirror)
    assert result.returncode == 0, result.stderr
    jobs: dict[str, list[str]] = {}
    text = result.stdout + result.stderr
    for rule, output in re.findall(r"(?:local)?rule (\w+):\n(?:    .*\n)*?    output: (\S+)", text):
        name = re.sub(r"^runs/smoke/|/[0-9a-f]{12}\.json,?$|,$", "", output)
        jobs.setdefault(rule, []).append(name)
    return {rule: sorted(outputs) for rule, outputs in jobs.items()}


def change(path: Path, how) -> None:
    """Change a YAML file in place or for what `how` returns.

    Of a study file those that it includes are changed too: a section stays where it stands.
    """
    files = {path: yaml.safe_load(path.read_text())}
    for part in files[path].get("include", []):
        files[path.parent / part] = yaml.safe_load((path.parent / part).read_text())
    homes = {section: file for file, data in files.items() for section in data}
    whole = {section: value for data in files.values() for section, value in data.items()}
    changed = how(whole) or whole
    for file in files:
        new = {key: value for key, value in changed.items() if homes.get(key, path) == file}
        file.write_text(yaml.safe_dump(new, sort_keys=False))


def edit(project: Path, file: str, how) -> None:
    change(project / "config" / file, how)


def set_key(file: str, keys: list[str], value) -> None:
    """Set a key, by its parts, of a file of the current directory's config/."""

    def set_inner(data: dict) -> None:
        *parents, last = keys
        for key in parents:
            data = data.setdefault(key, {})
        data[last] = value

    change(Path("config") / file, set_inner)


if __name__ == "__main__":
    write_hub(sys.argv[1])
