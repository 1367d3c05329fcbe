"""What is predicted from scores that were averaged or not: WSC and ranking (section 5.1).

In: float arrays of one split, as in predictions.parquet (`model.tasks.unit_scoring`). Out: int64
predictions. Numpy only, so that the analysis of ensembles needs nothing else.
"""

import numpy as np

ANSWERS, NO_ANSWER = 0, 1  # classes of QNLI: entailment, not_entailment


def decide_pronouns(margins: np.ndarray) -> np.ndarray:
    """1 where the query scores at least as high as every other candidate; int64 (U,)."""
    return (margins >= 0).astype(np.int64)


def decide_ranking(probability: np.ndarray, question: np.ndarray) -> np.ndarray:
    """0 (answers) for the likeliest row of every question, the first among equals, and for only
    rows of at least 0.5; 1 for the others. int64 (R,), in the order given.
    """
    order = np.lexsort((np.arange(len(question)), -probability, question))
    sorted_question = question[order]
    first = np.concatenate([[True], sorted_question[1:] != sorted_question[:-1]])
    predictions = np.full(len(question), NO_ANSWER, dtype=np.int64)
    predictions[order[first]] = ANSWERS
    alone = np.bincount(question)[question] == 1
    predictions[alone & (probability < 0.5)] = NO_ANSWER
    return predictions
