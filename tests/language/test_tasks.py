"""The generated tasks: formats, labels, what makes a label, and what cannot be looked up."""

import hashlib
import json
import re

import pyarrow.parquet as pq
import pytest
from project import ROOT
from tasks_toy import make_task

from language import lexicon
from language.corpora import CORPORA, corpus_columns
from language.passages import LETTERS
from language.world import corpus_pools, task_pools
from language.write import TASKS, task_table, write_mirror, write_source
from model.stages.features import read_examples
from study.errors import StudyError
from study.kinds import KIND_FACTS
from study.stages import generator_version

# Score of STS-B -> whether its sentences have the person and the value in common.
SHARED = {
    5.0: (True, True),
    4.2: (False, True),
    3.8: (True, False),
    3.0: (False, False),
    0.8: (True, False),
    0.0: (False, False),
}
# Minimal pairs have no labels and one split: test_grammar.py is of them.
FOR_TUNING = tuple(name for name in TASKS if name != "grammar")
NAMED = ("squad", "squad_v2", "race", "mnli", "rte", "mrpc", "qqp", "stsb", "qnli", "wnli", "wsc")


def rows(name: str, split: str, size: int = 300, seed: int = 0) -> list[dict]:
    """Rows of a split."""
    return task_table(name, seed, split, size).to_pylist()


def text_of(row: dict) -> str:
    """All words of a row."""
    parts = [value for value in row.values() if isinstance(value, str)]
    return " ".join([*parts, *row.get("options", [])])


def dev_split(name: str) -> str:
    """The first dev split of a task; of the diagnostics, which have none, the test split."""
    return TASKS[name].splits[:2][-1]


@pytest.mark.parametrize("name", TASKS)
def test_equal_arguments_give_equal_bytes(name, tmp_path):
    sizes = {split: 40 for split in TASKS[name].splits}
    for folder in ("one", "two"):
        assert write_source(name, tmp_path / folder, seed=3, sizes=sizes) == sizes
    for split in sizes:
        file = f"{split}-00000-of-00001.parquet"
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    assert rows(name, "train", 40, 3)[:10] == rows(name, "train", 10, 3)
    assert rows(name, "train", 40, 3) != rows(name, "train", 40, 4)


@pytest.mark.parametrize("name", NAMED)
def test_no_person_or_town_of_dev_stands_in_train(name):
    world = corpus_pools(0)
    entities = {person.name for person in world.people} | set(world.values["towns"])

    def used(split: str) -> set[str]:
        found = [set(re.findall(r"[A-Z][a-z]+", text_of(row))) for row in rows(name, split)]
        return set().union(*found) & entities

    assert used("train") and used(dev_split(name))
    assert not used("train") & used(dev_split(name))


@pytest.mark.parametrize("name", FOR_TUNING)
def test_no_composition_of_dev_stands_in_train(name):
    """Looking a dev item's text up in a large train set finds it nowhere."""
    train = {frozenset(text_of(row).lower().split()) for row in rows(name, "train", 3000)}
    dev = [frozenset(text_of(row).lower().split()) for row in rows(name, dev_split(name))]
    assert not train & set(dev)


def test_sst2_pairs_of_word_and_work_are_disjoint():
    def pairs(split: str) -> set[tuple[str, str]]:
        pools, found = task_pools(0, split), set()
        sentiment = {*pools.positive, *pools.negative}
        for row in rows("sst2", split, 2000):
            words = row["sentence"].split()
            found |= {(a, b) for a in words for b in words if a in sentiment and b in pools.works}
        return found

    assert pairs("train") and not pairs("train") & pairs("validation")


@pytest.mark.parametrize(
    "name, shares",
    [
        ("sst2", {0: 1 / 2, 1: 1 / 2}),
        ("mnli", {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
        ("rte", {0: 1 / 2, 1: 1 / 2}),
        ("mrpc", {0: 1 / 3, 1: 2 / 3}),
        ("qqp", {0: 2 / 3, 1: 1 / 3}),
        ("qnli", {0: 1 / 2, 1: 1 / 2}),
        ("wnli", {0: 1 / 2, 1: 1 / 2}),
        ("wsc", {0: 1 / 2, 1: 1 / 2}),
    ],
)
def test_labels_are_balanced_as_said(name, shares):
    labels = [row["label"] for row in rows(name, "train", 600)]
    assert {label: labels.count(label) / 600 for label in shares} == pytest.approx(shares)


def test_no_word_of_a_claim_tells_its_class():
    """Denials and hypernyms are as frequent in every class, also where the register changes."""
    kinds = set(corpus_pools(0).kinds.values())
    for split in ("train", "validation_mismatched"):
        found = [row for row in rows("mnli", split, 6000) if " with " not in row["premise"]]
        for words in ({"not"}, kinds):
            shares = []
            for label in range(3):
                own = [
                    set(re.findall(r"\w+", r["hypothesis"])) for r in found if r["label"] == label
                ]
                shares.append(sum(bool(word & words) for word in own) / len(own))
            assert max(shares) - min(shares) < 0.05


def test_opinions_and_reactions():
    """Entailed means both good or both bad, contradicted one of each."""
    pools, glad = corpus_pools(0), set(lexicon.GLAD)
    for row in rows("mnli", "validation_matched", 300):
        if " with " not in row["premise"] or row["label"] == 1:
            continue
        words = re.findall(r"\w+", row["premise"])
        denied = bool({"not", "never"} & set(words))
        good = bool(set(words) & set(pools.positive)) != denied
        pleased = row["hypothesis"].rstrip(".").split(" ", 1)[1] in glad
        assert (good == pleased) == (row["label"] == 0)


def test_hidden_labels_are_minus_one():
    for name, task in TASKS.items():
        if task.hidden and "test" in task.splits:
            assert {row["label"] for row in rows(name, "test", 20)} == {-1}
    assert {row["label"] for row in rows("mrpc", "test", 20)} == {0, 1}
    assert {row["answer"] for row in rows("race", "test", 60)} == set(LETTERS)


def test_answers_stand_where_they_say():
    for name, unanswerable in (("squad", 0), ("squad_v2", 75)):
        found = rows(name, "train", 300)
        assert sum(not row["answers"]["text"] for row in found) == unanswerable
        for row in found:
            for text, start in zip(*row["answers"].values(), strict=True):
                assert row["context"][start : start + len(text)] == text


def test_unanswerable_questions_look_answerable():
    """Most ask about somebody of whom the passage speaks; one in five about a stranger."""
    people, present = {p.name for p in corpus_pools(0).people}, []
    for row in rows("squad_v2", "validation", 400):
        if not row["answers"]["text"]:
            (name,) = people & set(re.findall(r"\w+", row["question"]))
            present.append(name in row["context"])
    assert 0.7 < sum(present) / len(present) < 0.9


def test_race_options():
    found = rows("race", "train", 300)
    assert sum(row["example_id"].startswith("high") for row in found) == 50
    for row in found:
        assert len(set(row["options"])) == 4
    counts = [[row["answer"] for row in found].count(letter) for letter in LETTERS]
    assert min(counts) > 50


def test_wsc_spans():
    for row in rows("wsc", "train", 2000):
        words = row["text"].rstrip(".").replace(",", "").split()
        place = row["span1_index"]
        assert " ".join(words[place : place + 2]) == row["span1_text"]
        assert words[row["span2_index"]] == row["span2_text"] == "it"


def test_wnli_and_wsc_ask_the_same():
    for pair, schema in zip(rows("wnli", "test", 60), rows("wsc", "test", 60), strict=True):
        assert pair["sentence1"] == schema["text"]
        assert pair["sentence2"].lower().startswith(schema["span1_text"].lower())


def test_a_pronoun_means_the_noun_of_whose_kind_it_is_told():
    kinds = corpus_pools(0).kinds
    for row in rows("wsc", "validation", 100):
        told = row["text"].rstrip(".")
        (kind,) = (k for k, habits in lexicon.HABITS.items() if told.endswith(tuple(habits)))
        assert (kinds[row["span1_text"].split()[1]] == kind) == (row["label"] == 1)


def test_every_question_of_qnli_has_one_answer_and_a_rival():
    found = rows("qnli", "validation", 1000)
    asked = {row["question"] for row in found}
    assert len(asked) == 500
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert first["question"] == second["question"] and first["sentence"] != second["sentence"]
        assert (first["label"], second["label"]) == (0, 1)


def told_of(sentence: str) -> tuple[str, set[str]]:
    """Whom a sentence is about and its values; saw, which is a verb as well, is left out."""
    world, words = corpus_pools(0), re.findall(r"\w+", sentence)
    names = {person.name for person in world.people}
    who, *met = [word for word in words if word in names]
    values = {word for every in world.values.values() for word in every} - {"saw"}
    return who, {*met} | (values & {*words})


def test_paraphrases_share_their_values():
    """Two thirds do, in other words; a fact that differs is about the same person."""
    for row in rows("mrpc", "train", 600):
        (person, values), (other, rest) = map(told_of, (row["sentence1"], row["sentence2"]))
        assert row["sentence1"] != row["sentence2"] and person == other
        assert (values == rest) == (row["label"] == 1)


def test_similarity_counts_what_two_sentences_share():
    seen = set()
    for row in rows("stsb", "train", 600):
        (person, values), (other, rest) = map(told_of, (row["sentence1"], row["sentence2"]))
        score = round(row["label"], 1)
        assert (person == other, values == rest) == SHARED[score] or not values
        seen.add(score)
    assert seen == set(SHARED)


def test_acceptable_sentences_have_the_right_article_and_some_others_the_wrong_one():
    wrong = re.compile(r"\ba [aeiou]|\ban [^aeiou]|\bthe [A-Z]")
    found = rows("cola", "train", 2000)
    share = {
        label: sum(bool(wrong.search(row["sentence"])) for row in found if row["label"] == label)
        / sum(row["label"] == label for row in found)
        for label in (0, 1)
    }
    assert share[1] == 0 and 0.2 < share[0] < 0.5


def test_literal_rows():
    assert [(*row.values(),) for row in rows("stsb", "validation", 5)[:4]] == [
        ("Oscar ran into Peter.", "Oscar met Peter.", 5.0, 0),
        ("Linda came from Glenton.", "Linda lived in Wilbridge.", pytest.approx(3.8), 1),
        ("Peter ate a leek.", "In those days Peter mislaid a violin.", pytest.approx(0.8), 2),
        ("Peter lived in Langham.", "Peter lived in Langham.", 5.0, 3),
    ]
    assert [row["sentence"] for row in rows("cola", "validation", 6)[2:]] == [
        "Edith did not in live Marlmouth.",
        "Linda did not look after a owl.",
        "What Walter mend?",
        "Oscar did not mend an blue trumpet.",
    ]
    found = rows("mnli", "train", 3)
    assert [(row["hypothesis"], row["label"]) for row in found] == [
        ("Boris loved it.", 0),
        ("Irene did not work as a doctor.", 1),
        ("Hannah yawned.", 2),
    ]
    assert found[2]["premise"] == "The humour of the film was charming."
    assert rows("sst2", "validation", 2) == [
        {"sentence": "the painting is tedious ", "label": 0, "idx": 0},
        {"sentence": "the poem is not shallow ", "label": 1, "idx": 1},
    ]


def test_texts_are_those_of_this_version():
    """A change of a name's texts needs another version of that name, and then this digest."""
    texts = {name: "".join(corpus_columns(name, 0, 20_000)["text"]) for name in CORPORA}
    for name, task in TASKS.items():
        texts[name] = "".join(json.dumps(rows(name, split, 50)) for split in task.splits)
    assert {name: version_and_digest(name, text) for name, text in texts.items()} == {
        "books": "3 a706e3234f95bafc",
        "wiki": "3 09cbcf6454bc950c",
        "news": "3 0c651608f03c1fbc",
        "web": "3 23ff216d74355bca",
        "stories": "3 72408aa27a8d67fa",
        "sst2": "3 a14ce7941017b7e1",
        "cola": "4 b203b983901baef2",
        "mnli": "3 7f87e2ef575ce2b6",
        "ax": "3 41943b95790a9034",
        "mrpc": "4 b33cd293ceb51220",
        "qqp": "4 f260cff569c015a3",
        "stsb": "4 5b58830569271512",
        "qnli": "5 d74713e4729a4686",
        "rte": "4 1f4abe81092763d2",
        "wnli": "5 8500a517cfdba293",
        "wsc": "4 5006d47ec2dde871",
        "squad": "3 8a66b035455886de",
        "squad_v2": "3 1770a072cc29d7c2",
        "race": "3 ce2db7ca255fb9d9",
        "grammar": "3 9517c6a71d3b4e73",
    }


def version_and_digest(name: str, text: str) -> str:
    digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return f"{generator_version(name)} {digest}"


def read_back(folder, name: str) -> None:
    """Every split with public labels is read as the study reads the hub."""
    kinds = {"squad": "span", "squad_v2": "span", "race": "choice", "stsb": "regression"}
    texts = {"sst2": ["sentence"], "cola": ["sentence"], "mnli": ["premise", "hypothesis"]}
    texts["ax"] = texts["mnli"]
    texts |= {"qqp": ["question1", "question2"], "qnli": ["question", "sentence"], "wsc": ["text"]}
    kind = kinds.get(name, "classification")
    known = {
        "texts": texts.get(name, ["sentence1", "sentence2"]),
        "labels": len(TASKS[name].classes),
        "answerability": name == "squad_v2",
    }
    fields = {field: known[field] for field in KIND_FACTS[kind].fields if field in known}
    task = make_task(kind, **fields)
    for split in TASKS[name].splits:
        if split.startswith("test") and TASKS[name].hidden:
            continue
        path = folder / TASKS[name].place / f"{split}-00000-of-00001.parquet"
        assert len(read_examples([path], task, None)) == pq.read_metadata(path).num_rows


def test_a_mirror_is_read_like_the_hub(tmp_path):
    write_mirror(tmp_path, seed=0, characters=5000, train=40, dev=20, test=10)
    for name in FOR_TUNING:
        read_back(tmp_path, name)


def test_unknown_names_are_refused(tmp_path):
    with pytest.raises(StudyError, match="poems: no such corpus or task"):
        write_source("poems", tmp_path, seed=0, sizes={"train": 1})
    with pytest.raises(StudyError, match="squad: no split test; it has train, validation"):
        write_source("squad", tmp_path, seed=0, sizes={"test": 1})


def test_items_in_the_documentation_are_those_of_dev():
    """Of the table of items in docs/generated-language.md, every part between asterisks."""
    document = (ROOT / "docs" / "generated-language.md").read_text()
    (table,) = re.findall(r"<!-- tasks -->\n(.*)<!-- end -->", document, re.DOTALL)
    shown = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    assert {name for name, *_ in shown} == set(FOR_TUNING)
    for name, item, _ in shown:
        texts = [text_of(row) for row in rows(name, dev_split(name), 40)]
        parts = [part.strip(" ?") for part in re.split(r"\*(?:it: )?|;", item)]
        assert any(all(part in text for part in parts) for text in texts), (name, parts)
