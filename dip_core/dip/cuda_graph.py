"""The *gradient* of a fit: the network's image and its energy, and what every weight is to do about it.

Op by op, a processor has to ask for each of some hundred kernels; on a GPU, a lean network's are done sooner than asked
for. A CUDA *graph* is the whole list, recorded once and *replayed* by one call. What it reads and writes stays where it
was: weights, input and gradients are changed in place, and each iteration's perturbation is copied to one place.

Source: the recipe for whole networks in PyTorch's notes on CUDA semantics.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .data_fidelity import Energy

Gradient = Callable[["Tensor | float"], "tuple[Tensor, Tensor]"]
# Runs the work on a stream, and returns what replays it.
Record = Callable[[Callable[[], None], "torch.cuda.Stream | None"], Callable[[], None]]

_WARM_UP = 3  # iterations op by op before the recording, in which libraries choose and prepare what they will use
_FEWEST = 50  # iterations that recording is taken to be worth while for
# A replay that differs more was not recorded right. Right ones differ, too: kernels sum in any order, some in bfloat16.
_LOSS_AGREES, _GRADIENT_AGREES = 0.01, 0.1
_recording = threading.Lock()  # one at a time in a process
_failed: list[torch.cuda.CUDAGraph] = []  # kept, for torch's allocator may still ask them


def objective(
    network: nn.Module,
    noise: Tensor,
    shift: Tensor | float,
    values: Tensor,
    energy: Energy,
    low_precision: bool = False,
) -> tuple[Tensor, Tensor]:
    """The network's image for the input ``noise + shift``, and its energy: what every step lowers."""
    with torch.autocast(values.device.type, torch.bfloat16, enabled=low_precision):
        output = network(noise + shift)
    image = output.to(values.dtype)
    return image, energy.loss(image, values)


def gradient(
    network: nn.Module,
    noise: Tensor,
    values: Tensor,
    energy: Energy,
    fitted: Sequence[Tensor],
    iterations: int,
    low_precision: bool = False,
) -> Gradient:
    """What gives the image and the energy for a shift of the input, and leaves the gradients in what is ``fitted``.

    For fits of so many ``iterations``; on a CUDA device those of 50 or more are replayed from a graph.
    """

    def by_op(shift: Tensor | float) -> tuple[Tensor, Tensor]:
        for tensor in fitted:
            tensor.grad = None
        image, loss = objective(network, noise, shift, values, energy, low_precision)
        loss.backward()
        return image.detach(), loss.detach()

    if values.device.type != "cuda" or iterations < _FEWEST:
        return by_op
    place = torch.zeros_like(noise, requires_grad=False)
    return Replayed(by_op, place, fitted, record, torch.cuda.Stream(values.device))


class Replayed:
    """A gradient that is recorded after three calls and replayed from then on.

    Where recording fails, or what is replayed does not agree with ``by_op``, it goes on op by op. ``shift``: where the
    graph reads the perturbation; ``fitted``: whose gradients are to be had.
    """

    def __init__(
        self,
        by_op: Gradient,
        shift: Tensor,
        fitted: Sequence[Tensor],
        record: Record,
        stream: torch.cuda.Stream | None,
    ) -> None:
        self._by_op = by_op
        self._shift = shift
        self._fitted = fitted
        self._record = record
        self._stream = stream
        self._calls = 0
        self._replay: Callable[[], None] | None = None
        self._found: tuple[Tensor, Tensor] | None = None

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed."""
        return self._replay is not None

    def __call__(self, shift: Tensor | float) -> tuple[Tensor, Tensor]:
        """The image and the energy: copies, so that later replays do not change them."""
        with torch.no_grad():
            if isinstance(shift, Tensor):
                self._shift.copy_(shift)
            else:
                self._shift.fill_(shift)
        self._calls += 1
        if self._calls == _WARM_UP + 1:
            self._try()
        if self._replay is None or self._found is None:
            return self._beside()
        self._replay()
        image, loss = self._found
        return image.clone(), loss.clone()

    def _beside(self) -> tuple[Tensor, Tensor]:
        """Op by op, on the stream that is recorded later: what libraries prepare belongs to a stream."""
        if self._stream is None:
            return self._by_op(self._shift)
        main = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            found = self._by_op(self._shift)
        main.wait_stream(self._stream)
        return found

    def _try(self) -> None:
        """Record, and keep it where a replay agrees with what goes op by op."""
        wanted = self._beside()[1]
        gradients = [None if tensor.grad is None else tensor.grad.clone() for tensor in self._fitted]

        def work() -> None:
            self._found = self._by_op(self._shift)

        try:
            replay = self._record(work, self._stream)
            replay()
            if self._agrees(wanted, gradients):
                self._replay = replay
                return
            reason = "a replay does not agree with the network"
        except RuntimeError as error:  # out of memory, or a kernel that cannot be recorded
            reason = str(error)
        logging.getLogger(__name__).warning("No CUDA graph is used: %s", reason)
        self._found = None
        for tensor in self._fitted:
            tensor.grad = None

    def _agrees(self, wanted: Tensor, gradients: Sequence[Tensor | None]) -> bool:
        """Whether the last replay's loss is as wanted, and its gradients, taken together, are."""
        assert self._found is not None  # nosec B101: the work was run
        off = length = 0.0
        for tensor, own in zip(self._fitted, gradients):
            if (tensor.grad is None) != (own is None):
                return False
            if own is not None and tensor.grad is not None:
                off += float((tensor.grad - own).square().sum())
                length += float(own.square().sum())
        loss = float(wanted)
        # Not a number is not less than anything.
        return abs(float(self._found[1]) - loss) <= _LOSS_AGREES * abs(loss) and off <= _GRADIENT_AGREES**2 * length


def record(work: Callable[[], None], stream: torch.cuda.Stream | None) -> Callable[[], None]:
    """Record what ``work`` asks of the GPU; nothing is computed until it is replayed.

    Raises RuntimeError where that fails, and ever after in this process: what a recording leaves behind that was cut
    short is not safe to record beside.
    """
    with _recording, torch.cuda.stream(stream):  # which puts device and stream back, whatever happens
        if _failed:
            raise RuntimeError("an earlier recording failed")
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                work()
        except BaseException:
            _failed.append(graph)
            raise
    return graph.replay
