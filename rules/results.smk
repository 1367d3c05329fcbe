# scores -> tables. These take seconds and run where snakemake runs.
localrules:
    all,
    make_table,
    make_scores,
    make_cell_scores,
    make_pretraining_table,


rule make_table:
    input:
        scores=lambda wildcards: manifests(STUDY.table_jobs(wildcards.table)),
    output:
        csv="results/{table}.csv",
        markdown="results/{table}.md",
        latex="results/{table}.tex",
    log:
        f"{LOGS}/results/{{table}}.log",
    wildcard_constraints:
        table="|".join(STUDY.config.tables),
    conda:
        "../environment.yml"
    params:
        identity=lambda wildcards: STUDY.table_identity(wildcards.table),
    shell:
        f"python -m analysis.table {{wildcards.table}} {STUDY_ARGUMENTS} --output "
        f"{{output.csv:q}} --log {{log:q}}"


rule make_scores:
    input:
        scores=manifests(STUDY.all_table_jobs()),
    output:
        csv="results/scores.csv",
    log:
        f"{LOGS}/results/scores.log",
    conda:
        "../environment.yml"
    params:
        identity=STUDY.scores_identity(STUDY.all_table_jobs()),
    shell:
        f"python -m analysis.scores {STUDY_ARGUMENTS} " f"--output {{output.csv:q}} --log {{log:q}}"


rule make_cell_scores:
    input:
        scores=lambda wildcards: manifests(STUDY.cell_jobs(wildcards.cell)),
    output:
        csv="results/cells/{cell}.csv",
    log:
        f"{LOGS}/results/cells/{{cell}}.log",
    wildcard_constraints:
        cell="|".join(STUDY.config.cells),
    conda:
        "../environment.yml"
    params:
        identity=lambda wildcards: STUDY.scores_identity(STUDY.cell_jobs(wildcards.cell)),
    shell:
        f"python -m analysis.scores --cell {{wildcards.cell:q}} {STUDY_ARGUMENTS} --output "
        f"{{output.csv:q}} --log {{log:q}}"


rule make_pretraining_table:
    input:
        pretrain=manifests(STUDY.pretrain_jobs()),
    output:
        csv="results/pretraining.csv",
    log:
        f"{LOGS}/results/pretraining.log",
    conda:
        "../environment.yml"
    params:
        identity=STUDY.scores_identity(STUDY.pretrain_jobs()),
    shell:
        f"python -m analysis.pretraining {STUDY_ARGUMENTS} --output {{output.csv:q}} --log "
        f"{{log:q}}"
