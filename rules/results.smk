# scores -> results. These take seconds and run where snakemake runs. A result is made under the
# identity of all that it shows and then copied to results/, so no stale file can pass for it.
RESULTS = f"{STUDY.root}/results"
TABLE = f"{RESULTS}/{{table}}/{{identity}}"
TABLES = "|".join(STUDY.config.tables)


localrules:
    all,
    make_table,
    make_scores,
    make_cell_scores,
    make_pretraining_table,
    publish_table,
    publish_csv,


rule make_table:
    input:
        scores=lambda wildcards: manifests(STUDY.table_jobs(wildcards.table)),
    output:
        csv=f"{TABLE}.csv",
        markdown=f"{TABLE}.md",
        latex=f"{TABLE}.tex",
    log:
        f"{LOGS}/results/{{table}}/{{identity}}.log",
    wildcard_constraints:
        table=TABLES,
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.table {{wildcards.table}} {STUDY_ARGUMENTS} "
        f"--output {{output.csv:q}} --log {{log:q}}"


rule make_scores:
    input:
        scores=manifests(STUDY.all_table_jobs()),
    output:
        csv=f"{RESULTS}/scores/{{identity}}.csv",
    log:
        f"{LOGS}/results/scores/{{identity}}.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.scores {STUDY_ARGUMENTS} --output {{output.csv:q}} --log {{log:q}}"


rule make_cell_scores:
    input:
        scores=lambda wildcards: manifests(STUDY.cell_jobs(wildcards.cell)),
    output:
        csv=f"{RESULTS}/cells/{{cell}}/{{identity}}.csv",
    log:
        f"{LOGS}/results/cells/{{cell}}/{{identity}}.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.scores --cell {{wildcards.cell:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.csv:q}} --log {{log:q}}"


rule make_pretraining_table:
    input:
        pretrain=manifests(STUDY.pretrain_jobs()),
    output:
        csv=f"{RESULTS}/pretraining/{{identity}}.csv",
    log:
        f"{LOGS}/results/pretraining/{{identity}}.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.pretraining {STUDY_ARGUMENTS} --output {{output.csv:q}} "
        f"--log {{log:q}}"


rule publish_table:
    input:
        result=lambda wildcards: result_files(wildcards.table, ("csv", "md", "tex")),
    output:
        csv="results/{table}.csv",
        markdown="results/{table}.md",
        latex="results/{table}.tex",
    log:
        f"{LOGS}/results/publish-{{table}}.log",
    wildcard_constraints:
        table=TABLES,
    conda:
        "../environment.yml"
    shell:
        "python -m analysis.publish {input.result:q} --to {output:q} --log {log:q}"


rule publish_csv:
    input:
        result=lambda wildcards: result_files(wildcards.result, ("csv",)),
    output:
        csv="results/{result}.csv",
    log:
        f"{LOGS}/results/publish-{{result}}.log",
    wildcard_constraints:
        result="|".join(
            ["scores", "pretraining", *(f"cells/{cell}" for cell in STUDY.config.cells)]
        ),
    conda:
        "../environment.yml"
    shell:
        "python -m analysis.publish {input.result:q} --to {output:q} --log {log:q}"
