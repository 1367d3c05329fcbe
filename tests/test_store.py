"""The token store: literal arrays, and refusal of what does not fit together."""

import numpy as np
import pytest

from model.text.store import TokenStore
from study.errors import StudyError


def test_from_lists_holds_flat_ids_and_offsets():
    store = TokenStore.from_lists([[[5, 6], [7]], [[8, 9, 10]]], corpora=[1, 0], corpus_names="ab")
    assert store.tokens.tolist() == [5, 6, 7, 8, 9, 10]
    assert store.tokens.dtype == np.uint16
    assert store.sentences.tolist() == [0, 2, 3, 6]
    assert store.documents.tolist() == [0, 2, 3]
    assert store.corpora.tolist() == [1, 0]
    assert store.corpus_names == ("a", "b")


def test_ids_beyond_uint16_widen_the_type():
    assert TokenStore.from_lists([[[65535]]]).tokens.dtype == np.uint16
    assert TokenStore.from_lists([[[65536]]]).tokens.dtype == np.uint32


@pytest.mark.parametrize("documents", [[[[1], []]], [[[1]], []]])
def test_empty_sentences_and_documents_are_refused(documents):
    with pytest.raises(StudyError, match="number 1 is empty"):
        TokenStore.from_lists(documents)
