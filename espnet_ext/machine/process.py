"""How this process's memory allocator treats what is freed."""

import ctypes

# Names of <malloc.h>
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
LARGEST = 32 << 20  # glibc takes no higher threshold


def keep_freed_memory() -> bool:
    """Use freed blocks again instead of returning them to the system, which clears every page that it hands out.

    A training step frees and allocates the same blocks; without this a tenth of its time goes into clearing them.
    Returns whether the allocator, glibc's, took all settings.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {M_MMAP_THRESHOLD: LARGEST, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: LARGEST}
    taken = [mallopt(name, value) for name, value in settings.items()]
    return all(taken)
