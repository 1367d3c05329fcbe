"""Sentence splitters compared: quality on 200 hand-checked boundaries, speed on real text.

    python -m benchmarks.sentence_splitters --parquet wiki.parquet --train more.parquet

prints a Markdown table. Candidates that are not installed are left out (pip install blingfire nltk
pysbd spacy). A boundary is a sentence end inside a passage of sentence_boundaries.jsonl; passages
are joined by single blanks. Speed counts processor time of one process, paragraph by
paragraph, so that a busy machine changes it little.
"""

import importlib.util
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

from model.text.sources import read_texts
from model.text.splitting import PARAGRAPH_END, split_with_sentencex
from study.command import command_parser, run_command

BOUNDARIES = Path(__file__).parent / "sentence_boundaries.jsonl"
Splitter = Callable[[str], list[str]]


def ours(_: list[str]) -> Splitter:
    """sentencex with our rule for quotations."""
    return lambda text: split_with_sentencex(text, "en")


def sentencex(_: list[str]) -> Splitter:
    """sentencex as it is."""
    from sentencex import segment

    return lambda text: segment("en", text)


def blingfire(_: list[str]) -> Splitter:
    """BlingFire, a compiled automaton."""
    from blingfire import text_to_sentences

    return lambda text: text_to_sentences(text).split("\n")


def nltk(training: list[str]) -> Splitter:
    """Punkt trained on `training`, as nothing is downloaded."""
    from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

    trainer = PunktTrainer()
    trainer.train("\n\n".join(training))
    return PunktSentenceTokenizer(trainer.get_params()).tokenize


def pysbd(_: list[str]) -> Splitter:
    """pySBD's English rules."""
    from pysbd import Segmenter

    return Segmenter(language="en", clean=False).segment


def spacy(_: list[str]) -> Splitter:
    """spaCy's rule-based sentencizer in a blank English pipeline."""
    from spacy import blank

    pipeline = blank("en")
    pipeline.add_pipe("sentencizer")
    return lambda text: [sentence.text for sentence in pipeline(text).sents]


CANDIDATES = {
    "sentencex + quotations": ("sentencex", ours),
    "sentencex": ("sentencex", sentencex),
    "BlingFire": ("blingfire", blingfire),
    "NLTK Punkt, trained": ("nltk", nltk),
    "pySBD": ("pysbd", pysbd),
    "spaCy sentencizer": ("spacy", spacy),
}


def sentence_ends(sentences: list[str]) -> set[int]:
    """Inner sentence ends, counted in characters that are not blank."""
    ends, position = set(), 0
    for sentence in sentences:
        position += len("".join(sentence.split()))
        ends.add(position)
    return ends - {position, 0}


def quality(split: Splitter) -> tuple[int, int, int]:
    """Boundaries found rightly, found wrongly, and missed."""
    right = wrong = missed = 0
    for line in BOUNDARIES.read_text(encoding="utf-8").splitlines():
        sentences = json.loads(line)["sentences"]
        expected, found = sentence_ends(sentences), sentence_ends(split(" ".join(sentences)))
        right += len(expected & found)
        wrong += len(found - expected)
        missed += len(expected - found)
    return right, wrong, missed


def speed(split: Splitter, paragraphs: list[str], seconds: float) -> float:
    """Characters per second of processor time; stops after about `seconds`."""
    done, started = 0, time.process_time()
    for paragraph in paragraphs:
        split(paragraph)
        done += len(paragraph)
        if time.process_time() - started > seconds:
            break
    return done / (time.process_time() - started)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = command_parser(
        "benchmarks.sentence_splitters",
        __doc__.splitlines()[0],
        "python -m benchmarks.sentence_splitters --parquet FILE",
    )
    parser.add_argument("--parquet", type=Path, nargs="+", required=True, help="text to time on")
    parser.add_argument("--train", type=Path, nargs="*", default=[], help="text to train Punkt on")
    parser.add_argument("--train-characters", type=int, default=8_000_000)
    parser.add_argument("--seconds", type=float, default=5.0, help="timing limit per candidate")
    args = parser.parse_args(argv)
    texts = [text for path in args.parquet for text in read_texts(path, "text")]
    paragraphs = [piece for text in texts for piece in PARAGRAPH_END.split(text)]
    training: list[str] = []
    for path in args.train:
        left = args.train_characters // len(args.train)
        for text in read_texts(path, "text"):
            if left <= 0:
                break
            training.append(text)
            left -= len(text)
    print("| splitter | version | precision | recall | F1 | wrong | missed | M characters/s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (package, make) in CANDIDATES.items():
        if importlib.util.find_spec(package) is None:
            continue
        split = make(training)
        right, wrong, missed = quality(split)
        rate = speed(split, paragraphs, args.seconds) / 1e6
        print(
            f"| {name} | {version(package)} | {right / (right + wrong):.3f} "
            f"| {right / (right + missed):.3f} | {2 * right / (2 * right + wrong + missed):.3f} "
            f"| {wrong} | {missed} | {rate:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    run_command(main)
