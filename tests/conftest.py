"""Fixtures that every test may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def _shared_folder() -> Path:
    return Path(os.environ.get("NPUDSL_SHARED", REPOSITORY.parent / "shared")).resolve()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real models and data sets; a test that asks for it is skipped on a machine without it."""
    folder = _shared_folder()
    if not (folder / "models").is_dir():
        pytest.skip(f"needs the models and data of NPUDSL_SHARED ({folder} is not there)")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY
