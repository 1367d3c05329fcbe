# scores -> results. These take seconds and run where snakemake runs.
TABLES = one_of(STUDY.config.tables)
HYPERPARAMETER_TABLES = one_of(STUDY.config.hyperparameter_tables)
# The plan's speed: as given, else the scale's hardware, else measured here.
SPEED = f" --flops-per-second={OPTIONS.flops}" if OPTIONS.flops else ""
MEASURED = [] if SPEED or STUDY.config.hardware else [STUDY.jobs.throughput()]


localrules:
    all,
    make_table,
    make_hyperparameter_table,
    make_scores,
    make_cell_scores,
    make_pretraining_table,
    make_corpora_table,
    make_learning_rate_table,
    make_settings_table,
    make_glue_submission,
    make_squad_submission,
    make_plan,


rule make_table:
    input:
        shown_by("{table}"),
    output:
        csv="results/{table}.csv",
        markdown="results/{table}.md",
        latex="results/{table}.tex",
    log:
        f"{LOGS}/results/{{table}}.log",
    wildcard_constraints:
        table=TABLES,
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.table {{wildcards.table:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.csv:q}} --log {{log:q}}"


rule make_hyperparameter_table:
    input:
        shown_by("{table}"),
    output:
        csv="results/{table}.csv",
        markdown="results/{table}.md",
        latex="results/{table}.tex",
    log:
        f"{LOGS}/results/{{table}}.log",
    wildcard_constraints:
        table=HYPERPARAMETER_TABLES,
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.hyperparameters {{wildcards.table:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.csv:q}} --log {{log:q}}"


rule make_scores:
    input:
        shown_by("scores"),
    output:
        csv="results/scores.csv",
    log:
        f"{LOGS}/results/scores.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.scores {STUDY_ARGUMENTS} --output {{output.csv:q}} --log {{log:q}}"


rule make_cell_scores:
    input:
        shown_by("cells/{cell}"),
    output:
        csv="results/cells/{cell}.csv",
    log:
        f"{LOGS}/results/cells/{{cell}}.log",
    wildcard_constraints:
        cell=one_of(STUDY.config.cells),
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.scores --cell={{wildcards.cell:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.csv:q}} --log {{log:q}}"


rule make_pretraining_table:
    input:
        shown_by("pretraining"),
    output:
        csv="results/pretraining.csv",
    log:
        f"{LOGS}/results/pretraining.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.pretraining {STUDY_ARGUMENTS} --output {{output.csv:q}} "
        f"--log {{log:q}}"


rule make_corpora_table:
    input:
        shown_by("corpora"),
    output:
        csv="results/corpora.csv",
    log:
        f"{LOGS}/results/corpora.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.corpora {STUDY_ARGUMENTS} --output {{output.csv:q}} --log {{log:q}}"


rule make_learning_rate_table:
    input:
        shown_by("learning_rates"),
    output:
        csv="results/learning_rates.csv",
    log:
        f"{LOGS}/results/learning_rates.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.learning_rates {STUDY_ARGUMENTS} --output {{output.csv:q}} "
        f"--log {{log:q}}"


rule make_settings_table:
    input:
        shown_by("settings"),
    output:
        csv="results/settings.csv",
    log:
        f"{LOGS}/results/settings.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.settings {STUDY_ARGUMENTS} --output {{output.csv:q}} --log {{log:q}}"


rule make_glue_submission:
    input:
        shown_by("submission/glue", "zip"),
    output:
        zip="results/submission/glue.zip",
    log:
        f"{LOGS}/results/submission/glue.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.submission glue {STUDY_ARGUMENTS} "
        "{PLACES} --output {output.zip:q} --log {log:q}"


rule make_squad_submission:
    input:
        shown_by("submission/squad20", "json"),
    output:
        json="results/submission/squad20.json",
    log:
        f"{LOGS}/results/submission/squad20.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.submission squad20 {STUDY_ARGUMENTS} --output {{output.json:q}} --log {{log:q}}"


# What the study will cost; needs no run, and is made again when some have been done.
rule make_plan:
    input:
        shown_by("plan", reads=MEASURED, flops=OPTIONS.flops),
    output:
        csv="results/plan.csv",
        markdown="results/plan.md",
    log:
        f"{LOGS}/results/plan.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.plan {STUDY_ARGUMENTS}{SPEED} --output {{output.csv:q}} --log {{log:q}}"
