"""`python -m recsys_lab`, the same as `recsys-lab`."""

from recsys_lab.commands.app import main

main()
