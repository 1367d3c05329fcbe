# All that a study needs, on the CPU or, where the container is given them, on NVIDIA GPUs:
#
#   docker build -t roberta-ablations .
#   docker run --rm -it --user "$(id -u):$(id -g)" -v "$PWD:/study" roberta-ablations \
#     snakemake --cores all -- results/table2.csv
#
# or with Apptainer, which mounts the current folder by itself:
#
#   apptainer build roberta-ablations.sif docker-daemon://roberta-ablations:latest
#   apptainer exec --nv roberta-ablations.sif snakemake --cores all -- results/table2.csv
#
# The image holds the environment alone; the checkout is mounted, so that runs/ and results/ stay.
FROM python:3.13.5-slim-bookworm

RUN apt-get update \
 && apt-get install --yes --no-install-recommends git make \
 && rm -rf /var/lib/apt/lists/*
# Runs tell of which commit they are, whoever owns the checkout.
RUN git config --system --add safe.directory '*'

COPY requirements.txt /tmp/
RUN pip install --no-cache-dir --requirement /tmp/requirements.txt

ENV HOME=/tmp PYTHONDONTWRITEBYTECODE=1
WORKDIR /study
CMD ["snakemake", "--cores", "all", "--", "results/table2.csv"]
