"""Array types of the engine; both are ``(band, row, column)``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Cube = NDArray[np.float32]
Mask = NDArray[np.bool_]  # True = observed, unless the docstring says otherwise
