import os
import subprocess
import sys

import pytest

from tests.run_cases import ROOT

MEASURE = """
import ctypes, sys
import torch
from recsys_lab.compute.process import prepare_process
fields = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()
class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in fields]
mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info
if sys.argv[1] == "keep":
    prepare_process()
before = mallinfo().hblkhd
array = torch.ones(int(sys.argv[2]) << 18)
print((mallinfo().hblkhd - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="an allocator that is not glibc's")
@pytest.mark.parametrize(
    ("setting", "size", "mapped"),
    [("default", 100, True), ("keep", 100, False), ("keep", 300, True)],
)
def test_arrays_of_a_step_are_not_fetched_from_the_system(setting, size, mapped):
    command = [sys.executable, "-c", MEASURE, setting, str(size)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mallinfo2" in run.stderr:
        pytest.skip("an allocator that is not glibc's, or an old one")
    assert int(run.stdout) >= size if mapped else int(run.stdout) < size


TRAIN = """
import os, runpy, sys
from recsys_lab.compute import process
prepare = process.prepare_process
def watched():
    came = "torch" in sys.modules
    prepare()
    sys.exit(f"{os.environ.get('OMP_WAIT_POLICY')}, torch came before: {came}")
process.prepare_process = watched
runpy.run_path(sys.argv[1], run_name="__main__")
"""


def test_train_py_prepares_its_process_before_torch_comes():
    command = [sys.executable, "-c", TRAIN, str(ROOT / "train.py")]
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert run.stderr == "passive, torch came before: False\n"
