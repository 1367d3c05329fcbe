# runs -> results: a rule for each entry of study/results.py. They take seconds and run where
# snakemake runs.
for entry in RESULTS:

    rule:
        name:
            entry.rule
        input:
            made_from(entry),
        output:
            **files_of(entry),
        log:
            f"{LOGS}/results/{entry.pattern}.log",
        wildcard_constraints:
            **{name: one_of(entry.names(STUDY.config)) for name in WILDCARD.findall(entry.pattern)},
        # What is ready goes before trainings that wait for a core.
        priority: 1
        localrule: True
        conda:
            "../environment.yml"
        params:
            command=command_of(entry),
        # The same for all: snakemake reads it again for each job, with the last entry at hand.
        shell:
            shell_line(
                "python -m {params.command} --output {output.first:q} --log {log:q}",
                STUDY_ARGUMENTS,
            )


# What else is asked for as a result has its name misspelt: said here, for snakemake only says that no
# rule makes it.
rule no_result:
    input:
        misspelt,
    output:
        "{target}",
    log:
        f"{LOGS}/results/no_result/{{target}}.log",
    wildcard_constraints:
        target=rf"(?!({one_of(STUDY.result_files())})$)(results/[^/]+(/[^/]+)*|[^/]+)",
    localrule: True
