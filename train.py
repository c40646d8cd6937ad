"""Train and evaluate one experiment: `python train.py --help` lists the choices."""

import sys

from recsys_lab.compute.signals import exit_at_once

if __name__ == "__main__":
    exit_at_once()  # before imports of seconds
    from recsys_lab.run.command_line import train

    train(sys.argv[1:])
