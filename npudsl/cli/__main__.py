"""``python -m npudsl.cli`` is ``npu``."""

from npudsl.cli.start import main

if __name__ == "__main__":
    main()
