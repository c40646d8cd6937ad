"""How the rows that ranks exchange are packed."""

import numpy as np
import pytest
import torch
from torch import nn

from recsys_lab.models import row_change_kernels, row_changes
from recsys_lab.models.exchanged_rows import Rows
from recsys_lab.models.optimizers import RowWiseAdagrad

DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_float32_are_packed_by_compiled_functions(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other types by torch: the compiled ones read them as float32."""
    used: list[str] = []
    for module in (row_change_kernels, row_changes):
        monkeypatch.setattr(module, "pack", lambda *_, name=module.__name__: used.append(name))
    table = nn.Parameter(torch.ones(4, 2, dtype=dtype))
    rows = Rows(table, RowWiseAdagrad([table], lr=0.5), in_half=False)
    rows.keep()
    rows.pack(np.array([1, 3]))
    wanted = row_change_kernels if dtype == torch.float32 else row_changes
    assert used == [wanted.__name__]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("state", "width"), [(0, 3), (1, 4), (4, 4), (1, 1), (3, 0)])
def test_narrow_rows_hold_state_in_full_and_changes_as_bfloat16(
    dtype: torch.dtype, state: int, width: int
) -> None:
    rows = torch.randn(5, state + width, dtype=dtype) * 100
    narrow = row_changes.narrow(rows, state)
    assert narrow.shape[1] == row_changes.narrow_length(rows.shape[1], state, dtype)
    assert narrow.nbytes <= 5 * (state * dtype.itemsize + 2 * width + dtype.itemsize - 2)
    found = row_changes.widen(narrow, state, width)
    assert torch.equal(found[:, :state], rows[:, :state])
    assert torch.equal(found[:, state:], rows[:, state:].to(torch.bfloat16).to(dtype))
