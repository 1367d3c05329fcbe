# Every table of the RoBERTa paper as a target:
#
#   snakemake --cores 2 --config scale=laptop mirror=DIR -- results/table2.csv
#
# Configuration (`--config key=value`):
#   scale             a file of config/scales/                        (default: demo)
#   mirror            a folder in the hub's layout instead of the hub (default: the hub)
#   replicates        pre-training seeds 0, 1, ... of every cell      (default: the scale's)
#   finetuning_seeds  fine-tuning seeds 0, 1, ... of each             (default: the scale's)
#   study             the study file                                  (default: config/study.yaml)
#   set               KEY=VALUE of the study, for this call alone     (set=base.steps=100)
#   flops             FLOP/s of one device, for results/plan.csv      (default: the scale's, or
#                                                                      measured)
import sys

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(0, str(workflow.basedir))


include: "rules/common.smk"
include: "rules/devices.smk"
include: "rules/text.smk"
include: "rules/training.smk"
include: "rules/results.smk"


# In the process that plans, once it goes to work: not in dry runs, not in the jobs.
onstart:
    with one_line():
        lock_its_files()
        check_devices()
        check_sources()
        note_asked(OPTIONS, workflow.dag_settings.targets)
    start_warm()


onerror:
    if workflow.non_local_exec:
        keep_what_is_finished()


localrules:
    all,


# Here, for snakemake forgets the default target of a file that is included.
rule all:
    default_target: True
    input:
        files_of_all(),
