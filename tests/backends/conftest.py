"""Exporters are tested on programs of the quantize step, so its bench is found here too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "steps" / "quantize"))
