# scores -> where each number comes from. Seconds, where snakemake runs.
localrules:
    write_table_provenance,
    write_provenance,


rule write_table_provenance:
    input:
        shown_by("provenance/{table}", "json"),
    output:
        json="results/provenance/{table}.json",
    log:
        f"{LOGS}/results/provenance/{{table}}.log",
    wildcard_constraints:
        table=TABLES,
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.provenance {{wildcards.table:q}} {STUDY_ARGUMENTS} "
        f"--output {{output.json:q}} --log {{log:q}}"


rule write_provenance:
    input:
        shown_by("provenance", "json"),
    output:
        json="results/provenance.json",
    log:
        f"{LOGS}/results/provenance.log",
    conda:
        "../environment.yml"
    shell:
        f"python -m analysis.provenance {STUDY_ARGUMENTS} --output {{output.json:q}} "
        f"--log {{log:q}}"
