"""The BLAS libraries have the chosen number of threads for a large product, and one otherwise."""

import subprocess
import sys

CODE = """
import threading
from threadpoolctl import threadpool_info
from recsys_lab.compute.threads import blas_threads, choose_threads
import numpy

def numbers():
    return {i["num_threads"] for i in threadpool_info() if i["internal_api"] == "openblas"}

def work():
    with blas_threads():
        print(numbers())
    print(numbers())

choose_threads(3)
print(numbers())
other = threading.Thread(target=work)
other.start()
other.join()
work()
"""


def test_large_products_have_the_chosen_threads_in_any_thread() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, *of_threads = done.stdout.split("\n")[:-1]
    assert before in ("{1}", "set()")  # no OpenBLAS: another library
    assert of_threads == (["{3}", "{1}"] * 2 if before == "{1}" else ["set()"] * 4)
