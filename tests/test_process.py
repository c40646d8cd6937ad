import subprocess
import sys

import pytest

MEASURE = """
import ctypes, sys
import torch
from recsys_lab.process import prepare_process
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
