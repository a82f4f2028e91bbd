"""A mark for tests whose loops are too long for the interpreter: the coverage run has numba's compiler off."""

import os

import pytest

compiled_only = pytest.mark.skipif(
    os.environ.get("NUMBA_DISABLE_JIT") == "1",
    reason="numba's compiler is off: these loops take minutes in the interpreter, and other tests reach the same lines",
)
