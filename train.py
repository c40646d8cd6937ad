"""Train and evaluate one experiment: `python train.py --help` lists the choices."""

import sys

from recsys_lab.run.command_line import train

if __name__ == "__main__":
    train(sys.argv[1:])
