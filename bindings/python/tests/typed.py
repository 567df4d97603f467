"""A program as users write it: checked strictly against the stubs, then run."""

import sys

import numpy as np
from numpy.typing import NDArray

import nickeldime


def sheet(pack: nickeldime.Pack, seeds: range) -> NDArray[np.uint8]:
    return np.concatenate([pack.sample(seed, psi=0.7) for seed in seeds], axis=1)


pack = nickeldime.Pack(sys.argv[1])
print(f"{pack.name}: {sheet(pack, range(4)).shape}, {sum(image.size for image in pack.walk([1, 2]))} bytes of a walk")
