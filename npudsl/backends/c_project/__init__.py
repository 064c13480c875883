"""Export kind ``c-project``: a self-contained C99 project with integer arithmetic only.

Design. The graph becomes straight-line C, one static description and one call per layer, so that it can be read and
stepped through; the kernels are the library files of ``npudsl.runtime_c``, copied unchanged; constants go to a file
with checksums because large arrays in source text make compilers slow; activations get fixed offsets in one arena whose
size is a macro. A known answer with the digest of every tensor is part of the project, so ``make check`` on any machine
says whether it computes what the simulator computed and, if not, in which layer it first differs. Rejected: an
interpreter with a graph in the weights file (nothing to read, nothing for a linker to drop) and kernels specialised per
layer.
"""

from npudsl.backends.c_project.project import export

__all__ = ["export"]
