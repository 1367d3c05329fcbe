# runs -> results: a rule for each entry of study/results.py. They take seconds and run where
# snakemake runs.
localrules:
    all,


for entry in RESULTS:

    rule:
        name:
            entry.rule
        input:
            made_from(entry),
        output:
            **{ending: f"results/{entry.pattern}.{ending}" for ending in entry.endings},
        log:
            f"{LOGS}/results/{entry.pattern}.log",
        wildcard_constraints:
            **{name: one_of(entry.names(STUDY.config)) for name in WILDCARD.findall(entry.pattern)},
        localrule: True
        conda:
            "../environment.yml"
        shell:
            command_of(entry)


rule all:
    default_target: True
    input:
        [
            f"results/{result}.{entry.endings[0]}"
            for result, (entry, name) in STUDY.results.items()
            if entry.in_all(STUDY.config, name)
        ],
