"""The commands of the study's twelve stages: `python -m model.stages.<stage>`, one module each."""
