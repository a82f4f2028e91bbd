"""The golden oracle: twelve published window features of real transactions, to the last digit."""

from pathlib import Path

import pytest

from tests.support import windows


@pytest.mark.slow
def test_published_windows(tmp_path: Path) -> None:
    """Counts and risks are the published ones, means within 1e-9; the same bits in any chunks, order, restarts."""
    if not windows.data_folder():
        pytest.skip("the public data sets are not here: DATA=folder names them")
    rows = windows.rows(tmp_path)
    assert len(rows) == 7
    assert [row for row in rows if not row.holds] == []
