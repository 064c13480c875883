"""Fast paths in C: compiled once with the system's compiler, kept in a private folder, called through ctypes.

A fast path has a definition in numpy that it equals bit for bit, so whether it is there changes time and nothing else.
Without a compiler, when compiling fails or with ``NPUDSL_NATIVE=off`` the definition runs; ``why_not`` says why, for
whoever wants to tell the user. Libraries are loaded when first asked for; importing this room loads no ctypes.

``NPUDSL_CC`` names the compiler (default: the first of cc, gcc, clang). See docs/decisions/0007 for whom we trust.
"""

from __future__ import annotations

from npudsl.native.library import configure, why_not

__all__ = ["configure", "why_not"]
