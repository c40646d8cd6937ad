"""The commands of `recsys-lab`, which is `python -m recsys_lab`; `train.py` trains."""
