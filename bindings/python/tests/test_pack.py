"""A pack's images are the core's, bit for bit, and mistakes are exceptions that say what is wrong."""

import gc
import hashlib
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

import nickeldime

# As the core's own tests have it: two packs, three seeds, three kinds of noise, psi 0.7.
REFERENCE = "5c984ef76c2863131d78b736cfa979378fd26936e6532d33826e885dfa54ecf5"


def sha256(*images: np.ndarray) -> str:
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()


def commands_hash(command: str, *arguments: object) -> str:
    run = [command, "sample", *map(str, arguments), "--json"]
    out = subprocess.run(run, check=True, capture_output=True, timeout=300)
    return json.loads(out.stdout)["sha256"]


def test_the_images_have_the_cores_hash(packs: pathlib.Path) -> None:
    images = []
    for name in ["i8.ndm", "i16.ndm"]:
        pack = nickeldime.Pack(packs / name)
        images += [pack.sample(0, 0.7, noise="none"), pack.sample(1, 0.7, noise="const")]
        # The core's third sample has the noise of seed 3: that of the seed that is mixed in from no layer on.
        images.append(pack.sample(3, 0.7, mix=(2, 0), noise="random"))
    assert sha256(*images) == REFERENCE


def test_sixteen_seeds_have_the_hash_that_the_core_printed(packs: pathlib.Path) -> None:
    for line in (packs / "SHA256").read_text().splitlines():
        expected, name = line.split()
        pack = nickeldime.Pack(str(packs / name))
        assert sha256(*(pack.sample(seed=seed) for seed in range(16))) == expected, name


def test_an_image_is_an_array_of_bytes_that_belongs_to_nobody_else(packs: pathlib.Path) -> None:
    pack = nickeldime.Pack(packs / "i8.ndm")
    image = pack.sample(seed=5)
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    kept = image.copy()
    other = pack.sample(seed=6)
    del pack
    gc.collect()
    assert (image == kept).all() and (image != other).any()
    image[:] = 0


def test_a_pack_tells_its_sizes(packs: pathlib.Path) -> None:
    path = packs / "i8.ndm"
    pack = nickeldime.Pack(path)
    sizes = (pack.resolution, pack.channels, pack.z_dim, pack.w_dim, pack.num_ws)
    assert sizes == (32, 3, 16, 12, 8)
    assert (pack.name, pack.noise, len(pack)) == ("random", "random", path.stat().st_size)
    assert pack.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert 1000 < pack.workspace_bytes < 100_000
    assert "32x32" in repr(pack)


def test_bytes_are_as_good_as_a_path(packs: pathlib.Path) -> None:
    path = packs / "i16.ndm"
    assert sha256(nickeldime.Pack(path.read_bytes()).sample(9)) == sha256(nickeldime.Pack(path).sample(9))


def test_latents_mixes_and_walks_agree_with_one_another(packs: pathlib.Path) -> None:
    pack = nickeldime.Pack(packs / "i8.ndm")
    w = np.linspace(-1, 1, pack.w_dim)
    one = pack.sample(w=w, noise="none")
    assert (pack.sample(w=np.tile(w, (pack.num_ws, 1)), noise="none") == one).all()
    assert (pack.sample(w=list(w), noise="none", psi=0.1) == one).all(), "psi is part of the mapping"
    layers = np.tile(w, (pack.num_ws, 1))
    layers[-1] += 1
    assert (pack.sample(w=layers, noise="none") != one).any()
    assert (pack.sample(z=np.zeros(pack.z_dim), noise="none") != one).any()

    def plain(seed: int, **how: object) -> np.ndarray:
        return pack.sample(seed, noise="none", **how)

    assert (plain(3, mix=(4, 0)) == plain(4)).all()
    assert (plain(3, mix=(4, pack.num_ws)) == plain(3)).all()
    assert (plain(3, towards=(4, 0.0)) == plain(3)).all()
    assert (plain(3, towards=(4, 1.0)) == plain(4)).all()
    walk = pack.walk([3, 4, 9], steps=4, noise="none")
    assert len(walk) == 9
    images = list(walk)
    assert len(images) == 9 and len(walk) == 0
    for at, image in [(0, plain(3)), (1, plain(3, towards=(4, 0.25))), (4, plain(4)), (8, plain(9))]:
        assert (images[at] == image).all(), at
    # Random noise is that of the first seed all the way: it does not flicker.
    assert (list(pack.walk([3, 4], steps=2))[1] == pack.sample(3, towards=(4, 0.5))).all()


def test_the_hashes_are_the_commands(packs: pathlib.Path, command: str) -> None:
    path = packs / "i16.ndm"
    pack = nickeldime.Pack(path)
    assert commands_hash(command, path, "--seed", "5") == sha256(pack.sample(seed=5))
    assert commands_hash(command, path, "--seed", "0..7", "--psi", "0.7") == sha256(
        *(pack.sample(seed, psi=0.7) for seed in range(8))
    )
    mixed = ["--seed", "2", "--mix", "99", "--cut", "3", "--noise", "const"]
    assert commands_hash(command, path, *mixed) == sha256(pack.sample(2, mix=(99, 3), noise="const"))
    halfway = ["--seed", "2", "--towards", "99", "--weight", "-0.3", "--noise", "none"]
    assert commands_hash(command, path, *halfway) == sha256(pack.sample(2, towards=(99, -0.3), noise="none"))


def test_latents_from_files_are_the_commands(packs: pathlib.Path, command: str, tmp_path: pathlib.Path) -> None:
    path = packs / "i8.ndm"
    pack = nickeldime.Pack(path)
    random = np.random.default_rng(1)
    for name, shape in [("w", [pack.w_dim]), ("w", [pack.num_ws, pack.w_dim]), ("z", [pack.z_dim])]:
        latent = random.normal(size=shape).astype(np.float32)
        np.savez(tmp_path / "latents.npz", **{name: latent[None]})
        expected = commands_hash(command, path, "--latents", tmp_path / "latents.npz")
        assert sha256(pack.sample(**{name: latent})) == expected, (name, shape)


def test_the_digits_are_the_commands(digits: pathlib.Path, command: str) -> None:
    pack = nickeldime.Pack(digits)
    expected = commands_hash(command, digits, "--seed", "0..15")
    assert sha256(*(pack.sample(seed) for seed in range(16))) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("truncated", "truncated"),
        ("trailing-bytes", "bytes after the pack's end"),
        ("not-a-pack", "not a nickeldime pack"),
        ("pack-format", "version 9 is not supported"),
        ("damaged", "SHA-256 does not agree"),
        ("header", "does not decode"),
        ("four-bit-weights", "4-bit weights"),
        ("architecture", "no generator"),
        ("layout", "outside it"),
        ("scale", "out of range"),
        ("overflow", "could overflow"),
    ],
)
def test_a_bad_pack_is_an_exception_that_names_it(packs: pathlib.Path, name: str, words: str) -> None:
    path = packs / f"{name}.ndm"
    with pytest.raises(nickeldime.PackError, match=words) as caught:
        nickeldime.Pack(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, nickeldime.Error)


def test_files_that_cannot_be_read_are_pythons_own_exceptions(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        nickeldime.Pack(tmp_path / "none.ndm")
    assert caught.value.filename == str(tmp_path / "none.ndm") or caught.value.filename == tmp_path / "none.ndm"
    with pytest.raises(IsADirectoryError):
        nickeldime.Pack(tmp_path)
    with pytest.raises(TypeError):
        nickeldime.Pack(5)  # type: ignore[arg-type]


def test_wrong_arguments_are_exceptions_that_say_what_is_right(packs: pathlib.Path) -> None:
    pack = nickeldime.Pack(packs / "i8.ndm")
    no_maps = nickeldime.Pack(packs / "no-const-noise.ndm")
    for call, words in [
        (lambda: pack.sample(psi=2.0), "above -2 and below 2"),
        (lambda: pack.sample(psi=float("nan")), "above -2 and below 2"),
        (lambda: pack.sample(towards=(1, 5.0)), "above -2 and below 2"),
        (lambda: pack.sample(w=[1.0]), "w has 12"),
        (lambda: pack.sample(z=[1.0]), "z has 16"),
        (lambda: pack.sample(w=np.zeros((2, 12))[:, :6]), "w has 12"),
        (lambda: pack.sample(w=np.zeros((1, 1, 12))), r"\[num_ws, w_dim\]"),
        (lambda: pack.sample(w=np.zeros((0, 0))), "w has 12"),
        (lambda: pack.sample(w=[float("nan")] * 12), "not finite"),
        (lambda: pack.sample(w=[0.0] * 12, z=[0.0] * 16), "exclude one another"),
        (lambda: pack.sample(noise="white"), '"random"'),
        (lambda: no_maps.sample(noise="const"), "no constant noise"),
        (lambda: pack.walk([]), "a seed at least"),
        (lambda: pack.walk([1], steps=0), "at least one step"),
    ]:
        with pytest.raises(ValueError, match=words):
            call()
    for call in [lambda: pack.sample(seed=-1), lambda: pack.sample(seed=2**64)]:
        with pytest.raises(OverflowError):
            call()


def test_everything_has_a_docstring() -> None:
    for name in ["Pack", "Device", "Walk", "Error", "PackError", "DeviceError"]:
        thing = getattr(nickeldime, name)
        assert thing.__doc__, name
        for member, value in vars(thing).items():
            if not member.startswith("_"):
                assert value.__doc__, f"{name}.{member}"
    assert nickeldime.__version__.count(".") == 2 and os.sep not in nickeldime.__version__
