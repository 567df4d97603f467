"""A board draws what the pack draws here; long work leaves Python's lock alone."""

import json
import os
import pathlib
import pty
import subprocess
import threading
import time
import tty
from collections.abc import Iterator

import numpy as np
import pytest

import nickeldime


@pytest.fixture(scope="module", params=["host", "qemu-m4"])
def port(request: pytest.FixtureRequest, command: str) -> Iterator[str]:
    """The port of a board that the command emulates."""
    run = [command, "emulate", "--board", request.param, "--json"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as board:
        try:
            assert board.stdout and board.stderr
            line = board.stdout.readline()
            if not line:
                pytest.skip(f"not tested on {request.param}: {board.stderr.read().strip()}")
            yield json.loads(line)["port"]
        finally:
            board.terminate()


def test_a_board_draws_what_the_pack_draws_here(port: str, packs: pathlib.Path) -> None:
    pack = nickeldime.Pack(packs / "i8.ndm")
    with nickeldime.Device(port) as device:
        assert device.port == port and device.board and device.firmware
        assert device.storage > len(pack) and device.workspace >= pack.workspace_bytes
        assert device.model is None
        with pytest.raises(nickeldime.DeviceError, match="no model is loaded"):
            device.sample(1)
        heard: list[tuple[int, int]] = []
        sent = device.send(packs / "i8.ndm", progress=lambda done, total: heard.append((done, total)))
        assert not sent["already_loaded"] and sent["bytes"] >= len(pack)
        assert heard[-1] == (len(pack), len(pack)) and heard == sorted(heard)
        assert device.send(pack)["already_loaded"]
        assert device.model and device.model["sha256"] == pack.sha256
        assert (device.model["resolution"], device.model["bytes"]) == (pack.resolution, len(pack))

        w = np.linspace(-1, 1, pack.w_dim)
        for how in [{"seed": 5}, {"seed": 2, "psi": 0.5, "noise": "const"}, {"w": w}, {"mix": (7, 2)}]:
            image = device.sample(**how)
            assert image.shape == (32, 32, 3) and image.dtype == np.uint8
            assert (image == pack.sample(**how)).all(), how
        here, there = pack.walk([1, 2], steps=3), device.walk([1, 2], steps=3)
        assert len(there) == 4
        for mine, its in zip(here, there):
            assert (mine == its).all()
        with pytest.raises(nickeldime.DeviceError, match="the model wants"):
            device.sample(w=[1.0])
        with pytest.raises(nickeldime.PackError, match="not a nickeldime pack"):
            device.send(packs / "not-a-pack.ndm")
        device.erase()
        assert device.model is None

        def progress(done: int, total: int) -> None:
            raise RuntimeError("as raised in the callback")

        with pytest.raises(RuntimeError, match="as raised in the callback"):
            device.send(pack, progress)
        assert device.model, "the pack was sent all the same"
    with pytest.raises(nickeldime.DeviceError, match="closed"):
        device.sample(1)


def test_ports_that_do_not_open_are_exceptions_that_say_what_to_do() -> None:
    with pytest.raises(nickeldime.DeviceError, match="no such port"):
        nickeldime.Device("/dev/there-is-no-such-port")


def test_python_runs_on_while_a_silent_port_is_waited_for() -> None:
    control, line = pty.openpty()
    tty.setraw(line)
    raised: list[BaseException] = []

    def wait() -> None:
        try:
            nickeldime.Device(os.ttyname(line))
        except nickeldime.Error as error:
            raised.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.01)
        turns += 1
    os.close(line)
    os.close(control)
    assert "nobody answers" in str(raised[0])
    assert turns > 50, "the lock was released while it waited"
