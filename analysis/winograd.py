"""WNLI's test rows as WSC's: which schema says what a pair of sentences says (section 5.1).

The authors answered WNLI with models of WSC, whose test split tells the same 146 questions in
another order: both list the rows of one text together and in the same order, WNLI as a pair of
sentences, WSC as a pronoun and a phrase for it. So the first row of a text is its first schema, the
second its second.
"""

import re
from collections import defaultdict
from collections.abc import Sequence

from model.text.sources import read_texts, source_files
from study.errors import StudyError
from study.fields import given
from study.graph import Study
from study.manifest import load_manifest
from study.places import Places

TEXTS = {"wnli": "sentence1", "wsc": "text"}


def schema_order(study: Study, places: Places) -> list[int]:
    """For every row of WNLI's test split the number of the row of WSC's that asks the same.

    The files are looked up in `places`, or where they were. Raises StudyError naming the file and
    the row that has no counterpart.
    """
    where, texts = {}, {}
    for task, column in TEXTS.items():
        job = study.jobs.source(task)
        source = load_manifest(job.path, key=job.key, stage="source")
        files = source_files(source, given(study.config.tasks[task].test)["test"], places)
        where[task] = files[0]
        texts[task] = [text for file in files for text in read_texts(file, column)]
    return match_rows(texts["wnli"], texts["wsc"], str(where["wnli"]))


def match_rows(pairs: Sequence[str], schemas: Sequence[str], where: str = "WNLI") -> list[int]:
    """For every text of `pairs` the place of the same text in `schemas`, repeats in turn.

    Quotation marks, blanks and capitals do not count. Raises StudyError naming the row of `where`
    whose text `schemas` lack, or have more or less often.
    """
    places: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(schemas):
        places[_letters(text)].append(place)
    order = []
    for row, text in enumerate(pairs):
        left = places[_letters(text)]
        if not left:
            raise StudyError(
                f"{where}: row {row}: WSC's test split has no schema left for its text"
            )
        order.append(left.pop(0))
    if len(order) != len(schemas):
        raise StudyError(f"{where}: {len(order)} rows, WSC's test split has {len(schemas)}")
    return order


def _letters(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()
