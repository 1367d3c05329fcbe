# documents -> sentences -> vocabulary -> token store -> samples


# What may be downloaded is, where there is internet.
localrules:
    source,
    weights,


rule source:
    output:
        manifest=MANIFESTS["source"],
    log:
        log_of("source"),
    conda:
        "../environment.yml"
    params:
        recipe=recipe_of("source"),
    shell:
        shell_line(
            "python -m model.stages.source --recipe {params.recipe:q} --manifest "
            "{output.manifest:q} --log {log:q}",
            PLACES,
            NEEDED,
        )


rule sentences:
    input:
        unpack(inputs_of("sentences")),
    output:
        manifest=MANIFESTS["sentences"],
    log:
        log_of("sentences"),
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of("sentences"),
        command=stage_command("sentences"),
    shell:
        shell_line(
            "python -m {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
            "--log {log:q}",
            PLACES,
        )


use rule sentences as weights with:
    input:
        unpack(inputs_of("weights")),
    output:
        manifest=MANIFESTS["weights"],
    log:
        log_of("weights"),
    params:
        recipe=recipe_of("weights"),
        command=stage_command("weights"),


use rule sentences as vocabulary with:
    input:
        unpack(inputs_of("vocabulary")),
    output:
        manifest=MANIFESTS["vocabulary"],
    log:
        log_of("vocabulary"),
    params:
        recipe=recipe_of("vocabulary"),
        command=stage_command("vocabulary"),


rule tokens:
    input:
        unpack(inputs_of("tokens")),
    output:
        manifest=MANIFESTS["tokens"],
    log:
        log_of("tokens"),
    conda:
        "../environment.yml"
    threads: cores_of("text")
    resources:
        **request_of("text"),
    params:
        recipe=recipe_of("tokens"),
        command=stage_command("tokens"),
    shell:
        "python -m {params.command} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "--log {log:q}"


use rule tokens as store with:
    input:
        unpack(inputs_of("store")),
    output:
        manifest=MANIFESTS["store"],
    log:
        log_of("store"),
    params:
        recipe=recipe_of("store"),
        command=stage_command("store"),


use rule tokens as samples with:
    input:
        unpack(inputs_of("samples")),
    output:
        manifest=MANIFESTS["samples"],
    log:
        log_of("samples"),
    params:
        recipe=recipe_of("samples"),
        command=stage_command("samples"),
