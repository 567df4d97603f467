"""What the tests share: the reference packs, and the command where there is one."""

import os
import pathlib
import subprocess

import pytest


@pytest.fixture(scope="session")
def packs() -> pathlib.Path:
    """The folder that the testkit's example `packs` has filled."""
    return pathlib.Path(os.environ["NICKELDIME_PACKS"])


@pytest.fixture(scope="session")
def command() -> str:
    """The command's path. Its tests are skipped where it has not been built."""
    path = os.environ.get("NICKELDIME_COMMAND", "")
    if not path:
        pytest.skip("the command nickeldime has not been built, so nothing was compared with it")
    return path


@pytest.fixture(scope="session")
def digits(command: str, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A pack of the shipped teacher."""
    pack = tmp_path_factory.mktemp("digits") / "digits.ndm"
    teacher = pathlib.Path(__file__).parents[3] / "fixtures/digits32/teacher-digits32.pkl"
    subprocess.run([command, "pack", teacher, "-o", pack], check=True, capture_output=True, timeout=300)
    return pack
