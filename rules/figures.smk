# scores and losses -> figures, each as PNG and PDF. Seconds each, where snakemake runs.
TABLE_FIGURES = [name for name, table in STUDY.config.tables.items() if table.score_columns]
FIGURES = [*TABLE_FIGURES, "curves", *(["learning_rate"] if STUDY.config.families else [])]


localrules:
    draw_table,
    draw_curves,
    draw_learning_rate,


rule draw_table:
    input:
        shown_by("figures/{table}", "png"),
    output:
        png="results/figures/{table}.png",
        pdf="results/figures/{table}.pdf",
    log:
        f"{LOGS}/results/figures/{{table}}.log",
    wildcard_constraints:
        table=one_of(TABLE_FIGURES),
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.figures.table {{wildcards.table:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.png:q}} --log {{log:q}}"


rule draw_curves:
    input:
        shown_by("figures/curves", "png"),
    output:
        png="results/figures/curves.png",
        pdf="results/figures/curves.pdf",
    log:
        f"{LOGS}/results/figures/curves.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.figures.curves {STUDY_ARGUMENTS} --output {{output.png:q}} "
        f"--log {{log:q}}"


rule draw_learning_rate:
    input:
        shown_by("figures/learning_rate", "png"),
    output:
        png="results/figures/learning_rate.png",
        pdf="results/figures/learning_rate.pdf",
    log:
        f"{LOGS}/results/figures/learning_rate.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.figures.learning_rate {STUDY_ARGUMENTS} --output {{output.png:q}} "
        f"--log {{log:q}}"
