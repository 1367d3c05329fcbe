# documents -> sentences -> vocabulary -> token store -> samples


localrules:
    source,


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
        "python -m model.stages.source --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{PLACES} {NEEDED} --log {log:q}"


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
        inputs=input_options,
    shell:
        "python -m model.stages.{rule} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{params.inputs} {PLACES} --log {log:q}"


use rule sentences as vocabulary with:
    input:
        unpack(inputs_of("vocabulary")),
    output:
        manifest=MANIFESTS["vocabulary"],
    log:
        log_of("vocabulary"),
    params:
        recipe=recipe_of("vocabulary"),
        inputs=input_options,


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
        inputs=input_options,
    shell:
        "python -m model.stages.{rule} --recipe {params.recipe:q} --manifest {output.manifest:q} "
        "{params.inputs} --log {log:q}"


use rule tokens as store with:
    input:
        unpack(inputs_of("store")),
    output:
        manifest=MANIFESTS["store"],
    log:
        log_of("store"),
    params:
        recipe=recipe_of("store"),
        inputs=input_options,


use rule tokens as samples with:
    input:
        unpack(inputs_of("samples")),
    output:
        manifest=MANIFESTS["samples"],
    log:
        log_of("samples"),
    params:
        recipe=recipe_of("samples"),
        inputs=input_options,
