"""Five registers: how books, an encyclopedia, newspapers, web pages and tales put things.

A register is a set of templates. Statements take {} for a clause such as "Anna bought a violin";
questions and replies take {q} the question, {a} the short answer, {A} the same with a capital, {b}
and {c} two speakers; claims take {k} the claim and {v} what is true of it; echoes {a}, {A} or {n},
a name.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Register:
    """Templates of one register, the plain statement first."""

    statements: tuple[str, ...]  # a new fact
    repeats: tuple[str, ...]  # a fact that was told before
    questions: tuple[str, ...]
    replies: tuple[str, ...]
    links: tuple[str, ...]  # between two clauses with one subject
    claims: tuple[str, ...]  # {k} a claim, {v} its verdict
    echoes: tuple[str, str]  # a value {a}, {A} or a name {n}, said twice


BOOKS = Register(
    statements=(
        "{}.",
        "That morning {}.",
        "{} before breakfast.",
        "In those days {}.",
        "One day {}.",
        "Late in the evening {}.",
        "{}, and nobody was surprised.",
    ),
    repeats=(
        "{b} remembered that {}.",
        "Everyone knew that {}.",
        "As we have heard, {}.",
        "{b} told {c} that {}.",
        "It was true that {}.",
        '"I think {}," said {b}.',
    ),
    questions=('"{q}" asked {b}.', '"{q}" said {b} to {c}.', '{b} asked: "{q}"'),
    replies=('"{A}," said {c}.', '"{A}," answered {c}.', '"{A}, of course," said {c}.'),
    links=("and", "and then", "and later"),
    claims=(
        '"{k}," said {b}. "That is {v}," said {c}.',
        "{b} said that {k}. It was {v}.",
        "{b} believed that {k}, which was {v}.",
    ),
    echoes=("{A}! {A}!", '"{n}, {n}!" called a voice.'),
)
WIKI = Register(
    statements=(
        "{}.",
        "According to the records {}.",
        "In that year {}.",
        "It is known that {}.",
        "{} for the first time.",
        "During the war {}.",
    ),
    repeats=(
        "Most writers agree that {}.",
        "The letters show that {}.",
        "As noted above, {}.",
        "{b} wrote that {}.",
        "For this reason it is said that {}.",
    ),
    questions=('Readers often ask: "{q}"', 'A common question is: "{q}"', '"{q}" asked {b}.'),
    replies=("The answer is: {a}.", '{c} wrote: "{A}."', "According to {c}, {a}."),
    links=("and", "and also", "and in the same year"),
    claims=(
        "Some say that {k}, which is {v}.",
        "{b} wrote that {k}. This is {v}.",
        "That {k} is {v}.",
    ),
    echoes=("Keyword: {a}; see {a}.", "Entry: {n}, see {n}."),
)
NEWS = Register(
    statements=(
        "{}.",
        "{}, the police said.",
        "{} last week.",
        "On the same evening {}.",
        "According to the mayor {}.",
        "{}, according to a neighbour.",
    ),
    repeats=(
        "A spokesman confirmed that {}.",
        "{b} told reporters that {}.",
        "Sources said again that {}.",
        "It was not new that {}.",
    ),
    questions=('A reporter asked: "{q}"', '"{q}" a reporter asked {c}.'),
    replies=('"{A}," {c} said.', '{c} said: "{A}."', '"{A}," said a spokesman.'),
    links=("and", "and afterwards", "and on the same day"),
    claims=(
        "A neighbour said that {k}. This is {v}.",
        "It is {v} that {k}, a spokesman said.",
        '"{k}," said {b}. "That is {v}," the police said.',
    ),
    echoes=("{A}, once more {a}.", "Name: {n}, {n}."),
)
WEB = Register(
    statements=(
        "{}.",
        "I read that {}.",
        "Here is the story: {}.",
        "{}, by the way.",
        "First of all, {}.",
        "Did you hear that {}?",
    ),
    repeats=(
        "Remember that {}.",
        "Yes, {}.",
        "As I said, {}.",
        "Please note that {}.",
        "{b} posted that {}.",
    ),
    questions=("Question: {q}", "{b} asks: {q}", "{q}"),
    replies=("Answer: {a}.", "{c} says: {a}.", "{A}, as far as I know."),
    links=("and", "and also", "and now"),
    claims=(
        "Claim: {k}. Verdict: {v}.",
        "{b} says that {k}. That is {v}.",
        "Is it true that {k}? It is {v}.",
    ),
    echoes=("{A}. Yes, {a}.", "Who? {n}. Yes, {n}."),
)
STORIES = Register(
    statements=(
        "{}.",
        "Once {}.",
        "One fine day {}.",
        "And so it came that {}.",
        "{} all alone.",
        "Before the sun was up {}.",
    ),
    repeats=(
        "Now you must know that {}.",
        "The old people still say that {}.",
        '"Is it true that {}?" asked {b}.',
        "{b} had seen that {}.",
        "So {}.",
    ),
    questions=('"{q}" asked {b}.', '"Tell me, {c}: {q}" said {b}.', '{b} cried: "{q}"'),
    replies=('"{A}," said {c}.', '"{A}," whispered {c}.', '"{A}, dear {b}," said {c}.'),
    links=("and", "and soon", "and happily"),
    claims=(
        '"{k}," cried {b}. That was {v}.',
        '"They say that {k}," said {b}. "That is {v}," said {c}.',
        "{b} dreamed that {k}. It was {v}.",
    ),
    echoes=("{A}, {a}!", '"{n}, {n}!" sang the wind.'),
)
REGISTERS = {"books": BOOKS, "wiki": WIKI, "news": NEWS, "web": WEB, "stories": STORIES}
