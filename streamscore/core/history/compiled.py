"""The mark of a function that numba compiles: plain loops over arrays, told one number at a time.

Compiled code is kept beside the source where that folder can be written. A kernel calls kernels of
its own file only: numba looks at one file's time to see whether what it kept is still good.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile at the first call, for the types of its arguments; the interpreter's lock is let go meanwhile."""
    try:
        return cast(Kernel, njit(cache=True, nogil=True)(function))
    except RuntimeError:  # nowhere to keep it: a read-only installation without a home
        return cast(Kernel, njit(nogil=True)(function))
