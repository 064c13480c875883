"""``python -m npudsl.cli`` is ``npu``."""

from npudsl.cli.start import main

main()
