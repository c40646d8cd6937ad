"""`python -m recsys_lab COMMAND`, and the command `recsys-lab`."""

import signal

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback out of the import below

from recsys_lab.compute.signals import exit_at_once


def main() -> None:
    """Run a command."""
    exit_at_once()  # before imports
    from recsys_lab.commands.app import main as run

    run()


if __name__ == "__main__":
    main()
