"""The registry of untrained networks: a network class is imported when a preset that names it is built."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkType:
    """An untrained network: its name in presets, the number of convolution axes, and ``module:class`` in this package.

    The class is called with ``(input channels, output channels, architecture)``. A network with 2 axes takes the bands
    as channels; a network with 3 axes takes the cube as one volume.
    """

    name: str
    axes: int
    load: str


NETWORKS = {
    network.name: network
    for network in (
        NetworkType("hourglass", 2, "hourglass:Hourglass"),
        NetworkType("hourglass3d", 3, "hourglass:Hourglass3d"),
    )
}
