"""Published values are those that the paper prints.

`published.json` holds the numbers of each printed row (arXiv 1907.11692v1; table3_extended: the
later version's Table 3), written down apart from config/paper/; thousands (8K) stand there
as batch sizes do, 8192.
"""

import json

import pytest
from project import GOLDEN, ROOT

from study.yaml_file import read_yaml

PRINTED = json.loads((GOLDEN / "published.json").read_text())


@pytest.mark.parametrize("table", PRINTED)
def test_the_numbers_of_every_row_stand_in_a_row_of_the_paper_in_its_order(table):
    for row, values in read_yaml(ROOT / f"config/paper/{table}.yaml").items():
        ours = [value for value in values.values() if isinstance(value, (int, float))]
        assert any(is_part(ours, printed) for printed in PRINTED[table]), f"{table}: {row}"


def is_part(numbers, row):
    """Whether these numbers stand in a row in this order, maybe with others between them."""
    rest = iter(row)
    return all(number in rest for number in numbers)


def test_every_file_of_published_tables_is_compared():
    files = {path.stem for path in (ROOT / "config/paper").glob("*.yaml")} - {"claims"}
    # Of minimal pairs other papers print values; RTE, MRPC and STS from MNLI its authors' notes.
    assert files - PRINTED.keys() == {"table_grammar", "table_mnli_start"}
