"""Images of StyleGAN2 packs as NumPy arrays, and boards that draw them."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from types import TracebackType
from typing import Literal, TypedDict, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PACK_FORMAT", "PROTOCOL", "Device", "DeviceError", "Error", "Pack", "PackError", "Walk", "__version__"]

__version__: str
PACK_FORMAT: int
PROTOCOL: int

class Error(Exception): ...
class PackError(Error): ...
class DeviceError(Error): ...

class _Model(TypedDict):
    name: str
    sha256: str
    bytes: int
    resolution: int
    channels: int
    z_dim: int
    w_dim: int
    noise: str

class _Sent(TypedDict):
    already_loaded: bool
    bytes: int
    kept: int
    seconds: float

@final
class Pack:
    def __new__(cls, source: str | PathLike[str] | bytes) -> Pack: ...
    @property
    def name(self) -> str: ...
    @property
    def resolution(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def z_dim(self) -> int: ...
    @property
    def w_dim(self) -> int: ...
    @property
    def num_ws(self) -> int: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def noise(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    def __len__(self) -> int: ...
    def sample(
        self,
        seed: int = 0,
        psi: float = 1.0,
        w: ArrayLike | None = None,
        *,
        z: ArrayLike | None = None,
        mix: tuple[int, int] | None = None,
        towards: tuple[int, float] | None = None,
        noise: Literal["none", "const", "random"] | None = None,
    ) -> NDArray[np.uint8]: ...
    def walk(
        self,
        seeds: Sequence[int],
        steps: int = 8,
        psi: float = 1.0,
        *,
        noise: Literal["none", "const", "random"] | None = None,
    ) -> Walk: ...

@final
class Device:
    def __new__(cls, port: str) -> Device: ...
    @property
    def port(self) -> str: ...
    @property
    def board(self) -> str: ...
    @property
    def firmware(self) -> str: ...
    @property
    def storage(self) -> int: ...
    @property
    def workspace(self) -> int: ...
    @property
    def model(self) -> _Model | None: ...
    def send(
        self,
        pack: Pack | str | PathLike[str] | bytes,
        progress: Callable[[int, int], object] | None = None,
    ) -> _Sent: ...
    def erase(self) -> None: ...
    def sample(
        self,
        seed: int = 0,
        psi: float = 1.0,
        w: ArrayLike | None = None,
        *,
        z: ArrayLike | None = None,
        mix: tuple[int, int] | None = None,
        towards: tuple[int, float] | None = None,
        noise: Literal["none", "const", "random"] | None = None,
    ) -> NDArray[np.uint8]: ...
    def walk(
        self,
        seeds: Sequence[int],
        steps: int = 8,
        psi: float = 1.0,
        *,
        noise: Literal["none", "const", "random"] | None = None,
    ) -> Walk: ...
    def close(self) -> None: ...
    def __enter__(self) -> Device: ...
    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
        /,
    ) -> None: ...

@final
class Walk:
    def __iter__(self) -> Walk: ...
    def __next__(self) -> NDArray[np.uint8]: ...
    def __len__(self) -> int: ...
