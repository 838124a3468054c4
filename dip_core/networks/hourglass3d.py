"""The *3-D hourglass*: the hourglass with 3-D convolutions, which halves and enlarges the spectral axis too.

The image is a volume of one channel, ``(batch, 1, band, row, column)``, so the filters are small along the
bands as well and the number of weights does not depend on the number of bands. Everything else, the handling
of sizes that are not multiples of ``2 ** depth`` included, is the 2-D network's.

Source: the DHP paper, sections 3.1 and figure 1. Its code calls the padding of the 3-D networks reflection but
repeats the rim: that is ``padding="replication"`` here.
"""

from __future__ import annotations

from .hourglass import Hourglass


class Hourglass3d(Hourglass):
    """``(batch, inputs, band, row, column)`` to ``(batch, outputs, band, row, column)`` of the same size."""

    axes = 3
