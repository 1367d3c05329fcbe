"""Wrong values of keys of the configuration, and the one line that names file and key."""

# (file, key, value) and the line that is said of it.
ERRORS = [
    (
        ("scales/smoke.yaml", "base.stepz", 3),
        "config/scales/smoke.yaml: base.stepz: unknown key, did you mean steps?",
    ),
    (
        ("study.yaml", "cells.doc-sentences.format.nspp", True),
        "config/study/cells.yaml: cells.doc-sentences.format.nspp: unknown key, did you mean nsp?",
    ),
    (
        ("scales/smoke.yaml", "base.steps", "20"),
        "config/scales/smoke.yaml: base.steps: input should be a valid integer, found '20'",
    ),
    (
        ("scales/smoke.yaml", "left_out.races", "at chance"),
        "config/scales/smoke.yaml: left_out: races is not defined, did you mean race?",
    ),
    (
        ("scales/smoke.yaml", "left_out.race", ""),
        "config/scales/smoke.yaml: left_out.race: string should have at least 1 character, "
        "found ''",
    ),
    (
        ("scales/smoke.yaml", "base.steps", -1),
        "config/scales/smoke.yaml: base.steps: input should be greater than or equal to 0, "
        "found -1",
    ),
    (
        ("scales/smoke.yaml", "base.masking.rate", 1.5),
        "config/scales/smoke.yaml: base.masking.rate: input should be less than 1, found 1.5",
    ),
    (
        ("scales/smoke.yaml", "base.masking.random", 0.3),
        "config/scales/smoke.yaml: base.masking: mask + random is 1.1, expected at most 1",
    ),
    (
        ("scales/smoke.yaml", "cells.static-segment-pair.masking.copies", 0),
        "config/scales/smoke.yaml: cells.static-segment-pair.masking.copies: input should be "
        "greater than 0, found 0",
    ),
    (
        ("study.yaml", "cells.full-sentences.format.nsp", True),
        "config/study/cells.yaml: cells.full-sentences.format: nsp and segments need a pair "
        "format, not full-sentences",
    ),
    (
        ("study.yaml", "cells.full-sentences.vocabulary", "latin"),
        "config/study/cells.yaml: cells.full-sentences.vocabulary: latin is not defined; known: "
        "byte-50k, character-10k, character-30k",
    ),
    (
        ("scales/smoke.yaml", "base.length", 65),
        "config/study/cells.yaml: cells.segment-pair: length 65 exceeds model.positions 64",
    ),
    (
        ("scales/smoke.yaml", "execution.pretrain.device", "tpu"),
        "config/scales/smoke.yaml: execution.pretrain.device: input should be 'cpu' or 'cuda', "
        "found 'tpu'",
    ),
    (
        ("scales/smoke.yaml", "finetuning.bert.boolq", {}),
        "config/scales/smoke.yaml: finetuning.bert.boolq: no such task; known: squad11, squad20, "
        "mnli, sst2, race, qnli, qqp, rte, mrpc, cola, stsb, wnli, rte_from_mnli, mrpc_from_mnli, "
        "stsb_from_mnli, qnli_ranking, wsc",
    ),
    (
        ("study.yaml", "tasks.sst2.metrics", ["acuracy"]),
        "config/study/tasks.yaml: tasks.sst2: kind classification has no metric acuracy; known: "
        "accuracy, f1, matthews",
    ),
    (
        ("study.yaml", "tasks.sst2.stride", 8),
        "config/study/tasks.yaml: tasks.sst2: kind classification has no stride",
    ),
    (
        ("study.yaml", "tasks.sst2.labels", None),
        "config/study/tasks.yaml: tasks.sst2: kind classification needs labels",
    ),
    (
        ("study.yaml", "corpora.news.language", "german"),
        "config/study.yaml: corpora.news.language: string should match pattern "
        "'^[a-z]{2,3}(-[A-Za-z0-9]+)*$', found 'german'",
    ),
    *(
        (
            ("study.yaml", "tasks.sst2.labels", labels),
            f"config/study/tasks.yaml: tasks.sst2.labels{line}",
        )
        for labels, line in (
            (["good", "good"], ": the same class twice, found ['good', 'good']"),
            ([None, "good"], ".0: expected text, found null"),
            (1, ": input should be greater than or equal to 2, found 1"),
        )
    ),
    (
        ("study.yaml", "tasks.wsc.loss", "margin"),
        "config/scales/smoke.yaml: tasks.wsc: kind wsc with loss margin needs alpha",
    ),
    (
        ("study.yaml", "tasks.wsc.beta", 0.5),
        "config/scales/smoke.yaml: tasks.wsc: kind wsc with loss cross-entropy has no beta",
    ),
    (
        ("study.yaml", "tasks.wsc.candidates", "nltk"),
        "config/study/tasks.yaml: tasks.wsc.candidates: input should be 'spacy' or 'rules', "
        "found 'nltk'",
    ),
    (
        ("study.yaml", "tasks.qnli_ranking.mined", None),
        "config/scales/smoke.yaml: tasks.qnli_ranking: kind ranking needs mined",
    ),
    (
        ("study.yaml", "tasks.qnli_ranking.texts", ["question"]),
        "config/scales/smoke.yaml: tasks.qnli_ranking: kind ranking needs 2 texts, found 1",
    ),
    (
        ("study.yaml", "tasks.sst2.kind", "rating"),
        "config/study/tasks.yaml: tasks.sst2.kind: input should be 'classification', 'regression', "
        "'span', 'choice', 'ranking' or 'wsc', found 'rating'",
    ),
    (
        ("study.yaml", "tasks.squad20.test", {"test": "test"}),
        "config/study/tasks.yaml: tasks.squad20: kind span has no test",
    ),
    (
        ("study.yaml", "tasks.race.test", {"test": "test"}),
        "config/scales/smoke.yaml: tasks.race: kind choice has no test",
    ),
    (
        (
            "study.yaml",
            "tables.table7.rows",
            [{"id": "roberta", "label": "x", "cell": "full-sentences", "ensemble": True}],
        ),
        "config/study/tables.yaml: tables.table7.rows.roberta.ensemble.race: middle is not "
        "defined; known: accuracy",
    ),
    (
        (
            "study.yaml",
            "tables.table6.rows",
            [{"id": "roberta", "label": "x", "cell": "full-sentences", "ensemble": True}],
        ),
        "config/study/tables.yaml: tables.table6.rows.roberta.ensemble.squad11: answers of "
        "kind span cannot be averaged",
    ),
    (
        ("study.yaml", "tasks.sst2.mined", 1),
        "config/study/tasks.yaml: tasks.sst2: kind classification has no mined",
    ),
    (
        ("scales/smoke.yaml", "seeds.finetuning", [0, 0]),
        "config/scales/smoke.yaml: seeds.finetuning: the same seed twice, found [0, 0]",
    ),
    (
        ("study.yaml", "splitter", "nltk"),
        "config/study.yaml: splitter: input should be 'sentencex' or 'lines', found 'nltk'",
    ),
    (
        ("scales/smoke.yaml", "execution.text.precision", "bf16"),
        "config/scales/smoke.yaml: execution.text.precision: unknown key; known: threads, "
        "resources",
    ),
    (
        ("paper/table2.yaml", "bert_huge", {"mnli.accuracy": 90}),
        "config/paper/table2.yaml: bert_huge: no table has this row, did you mean bert_base?",
    ),
    (
        ("paper/table2.yaml", "bert_base", {"mnli.f1": 90}),
        "config/paper/table2.yaml: bert_base.mnli.f1: no table has this column; known: squad11.f1, "
        "squad20.f1, mnli.accuracy, sst2.accuracy, race.accuracy",
    ),
    (
        ("study.yaml", "tables.table2.published", "config/paper/none.yaml"),
        "config/paper/none.yaml: No such file or directory",
    ),
    (
        ("study.yaml", "cells.twin", {"format": {"name": "doc-sentences"}}),
        "config/study/cells.yaml: cells.twin: the same recipe as cells.doc-sentences; use "
        "that name",
    ),
    (
        ("scales/smoke.yaml", "families.batch-2k.learning_rates", ["fast"]),
        "config/scales/smoke.yaml: families.batch-2k.learning_rates.0: input should be a valid "
        "number, found 'fast'",
    ),
    (
        ("study.yaml", "families.batch-2k.cell", ["batch-2k"]),
        "config/study/cells.yaml: families.batch-2k.cell: expected text, found ['batch-2k']",
    ),
    (
        ("scales/smoke.yaml", "cells.batch-2k.optimiser", 5),
        "config/scales/smoke.yaml: cells.batch-2k.optimiser: expected a mapping, found 5",
    ),
    (
        ("study.yaml", "cells.batch-8k.like", ["batch-2k"]),
        "config/study/cells.yaml: cells.batch-8k.like: expected a name, found ['batch-2k']",
    ),
    (
        ("scales/smoke.yaml", "finetuning.bert", None),
        "config/scales/smoke.yaml: finetuning.bert: expected a mapping, found null",
    ),
    (
        ("scales/smoke.yaml", "finetuning.bert.race", [1]),
        "config/scales/smoke.yaml: finetuning.bert.race: expected a mapping, found [1]",
    ),
    (
        ("study.yaml", "tasks.sst2", ["x"]),
        "config/study/tasks.yaml: tasks.sst2: expected a mapping, found ['x']",
    ),
    (
        ("scales/smoke.yaml", "base.steps", 10**15),
        "config/scales/smoke.yaml: base.steps: input should be less than or equal to "
        "1000000000000, found 1000000000000000",
    ),
    (
        ("scales/smoke.yaml", "base.batch.sequences", 10**12),
        "config/scales/smoke.yaml: base.steps: 20 x batch.sequences 1000000000000 x length 64 "
        "tokens, over 1e+15",
    ),
    (
        ("scales/smoke.yaml", "corpora", {"wiki": {"shards": 600}, "books": {"shards": 600}}),
        "config/scales/smoke.yaml: corpora.books.shards: the corpora of cell "
        "segment-pair have 1200, over 1000",
    ),
    (
        ("scales/smoke.yaml", "seeds.finetuning", [2**40]),
        "config/scales/smoke.yaml: seeds.finetuning.0: input should be less than 4294967296, found "
        "1099511627776",
    ),
    (
        ("scales/smoke.yaml", "hardware", {"name": "x", "flops_per_second": float("inf")}),
        "config/scales/smoke.yaml: hardware.flops_per_second: input should be a finite number, "
        "found inf",
    ),
    (
        ("scales/smoke.yaml", "budget", {"tables": ["table11"], "hours": 1, "cores": 2}),
        "config/scales/smoke.yaml: budget.tables: table11 is not defined, did you mean table1?",
    ),
    (
        ("scales/smoke.yaml", "budget", {"tables": ["table1"], "hours": 1, "gpus": 1}),
        "config/scales/smoke.yaml: budget: expected cores and no gpus, as device is cpu",
    ),
    (
        ("scales/smoke.yaml", "budget", {"tables": ["table1"], "hours": 0, "cores": 2}),
        "config/scales/smoke.yaml: budget.hours: input should be greater than 0, found 0",
    ),
    (
        ("scales/smoke.yaml", "base.optimiser.learning_rate", float("nan")),
        "config/scales/smoke.yaml: base.optimiser.learning_rate: input should be a finite number, "
        "found nan",
    ),
    (
        ("study.yaml", "tables.table5.columns", [{"value": "steps", "label": "x"}]),
        "config/study/tables.yaml: tables.table5.average: no score column is averaged",
    ),
    (
        (
            "study.yaml",
            "hyperparameter_tables.table10.rows",
            [{"id": "a", "label": "a", "key": "x"}],
        ),
        "config/study/tables.yaml: hyperparameter_tables.table10.rows.a: x: no key of the "
        "recipe, that of column race",
    ),
    (
        ("scales/smoke.yaml", "vocabularies.byte-50k.size", 260),
        "config/scales/smoke.yaml: vocabularies.byte-50k: kind byte-bpe needs a size of at least "
        "261",
    ),
    (
        ("scales/smoke.yaml", "tasks.rte.source.sizes", {"train": 48, "test": 8}),
        "config/scales/smoke.yaml: tasks.rte.source.sizes: validation is not defined; known: test, "
        "train",
    ),
    (
        ("scales/smoke.yaml", "tasks.race.question_length", 60),
        "config/scales/smoke.yaml: finetuning.all.default.length: 64 tokens are too few, race "
        "needs 65 or more",
    ),
    (
        ("scales/smoke.yaml", "base.length", 7),
        "config/scales/smoke.yaml: base.length: input should be greater than or equal to 8, "
        "found 7",
    ),
    (
        ("scales/smoke.yaml", "execution.pretrain.threads", 2000),
        "config/scales/smoke.yaml: execution.pretrain.threads: input should be less than or equal "
        "to 1024, found 2000",
    ),
    (
        ("paper/table2.yaml", "bert_base", {"mnli.accuracy": "84.3"}),
        "config/paper/table2.yaml: bert_base.mnli.accuracy: expected a number, found '84.3'",
    ),
    (
        ("paper/table2.yaml", "bert_base", {"mnli.accuracy": [84.3]}),
        "config/paper/table2.yaml: bert_base.mnli.accuracy: expected a number, found [84.3]",
    ),
    (
        ("paper/table2.yaml", "bert_base", {"mnli.accuracy": float("inf")}),
        "config/paper/table2.yaml: bert_base.mnli.accuracy: expected a number, found inf",
    ),
    (
        ("paper/table2.yaml", "bert_base", [84.3]),
        "config/paper/table2.yaml: bert_base: expected values by column, found [84.3]",
    ),
]
