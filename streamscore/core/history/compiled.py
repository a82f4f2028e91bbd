"""The mark of a function that numba compiles: a kernel, which is plain loops over arrays.

Compiled code is cached beside the source where that folder can be written. A kernel calls kernels of its own file
only. Numba compares the time of that one file to see whether the cached code is still good, so an edit of a kernel in
another file would silently not run. A test holds the rule.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile at the first call, for the types of its arguments. The kernel runs without the interpreter's lock."""
    try:
        return cast(Kernel, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # nowhere to keep it: a read-only installation without a home
        return cast(Kernel, njit(nogil=True)(function))
