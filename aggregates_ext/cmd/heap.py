"""Memory that large answers have taken goes back to the system."""

import contextlib
import ctypes

# From mallopt(3).
_M_MMAP_THRESHOLD = -3
# Bytes from which a piece of memory is a mapping of its own.
LARGE = 1 << 17


def give_back() -> None:
    """Give large pieces of memory back as soon as they are not needed.

    The allocator of glibc begins so, and raises the bound to the largest
    piece that it has seen, up to 32 MiB. From then on large answers are in
    the heaps of threads, between what these keep, and stay. Other systems
    have other allocators, and are left alone.
    """
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, LARGE)
