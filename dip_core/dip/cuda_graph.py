"""Loss and gradients of one iteration of a fit, eager or replayed from a CUDA graph.

In eager mode the CPU launches hundreds of kernels one by one; with a small network the GPU finishes each kernel before
the next one is launched. A CUDA graph records all kernels once and replays them with one call. It reads and writes
fixed memory: weights, input and gradients are changed in place, and the perturbation of each iteration is copied to one
buffer.

Source: "Whole-network capture" in PyTorch's notes on CUDA semantics.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .data_fidelity import DataFidelity

Gradient = Callable[["Tensor | float"], "tuple[Tensor, Tensor]"]
# Records work on a stream; returns the function that replays it.
Record = Callable[[Callable[[], None], "torch.cuda.Stream | None"], Callable[[], None]]

_WARM_UP_ITERATIONS = 3  # eager, before recording: libraries select and prepare their kernels
_MIN_ITERATIONS = 50  # of a fit for which recording pays
# Largest relative difference between a replay and eager mode. Correct replays differ too: the order of sums varies, and
# some kernels use bfloat16.
_LOSS_TOLERANCE, _GRADIENT_TOLERANCE = 0.01, 0.1
_recording = threading.Lock()  # one recording at a time in a process
_failed: list[torch.cuda.CUDAGraph] = []  # kept, because torch's allocator may still refer to them


def forward_and_loss(
    network: nn.Module,
    network_input: Tensor,
    shift: Tensor | float,
    values: Tensor,
    fidelity: DataFidelity,
    low_precision: bool = False,
) -> tuple[Tensor, Tensor]:
    """The network's image for the input ``network_input + shift``, and its loss."""
    with torch.autocast(values.device.type, torch.bfloat16, enabled=low_precision):
        output = network(network_input + shift)
    image = output.to(values.dtype)
    return image, fidelity.loss(image, values)


def make_gradient(
    network: nn.Module,
    network_input: Tensor,
    values: Tensor,
    fidelity: DataFidelity,
    fitted: Sequence[Tensor],
    iterations: int,
    low_precision: bool = False,
) -> Gradient:
    """A function that returns image and loss for a shift of the input and sets the gradients of ``fitted``.

    On a CUDA device, fits with at least 50 ``iterations`` are replayed from a graph.
    """

    def eager(shift: Tensor | float) -> tuple[Tensor, Tensor]:
        for tensor in fitted:
            tensor.grad = None
        image, loss = forward_and_loss(network, network_input, shift, values, fidelity, low_precision)
        loss.backward()
        return image.detach(), loss.detach()

    if values.device.type != "cuda" or iterations < _MIN_ITERATIONS:
        return eager
    buffer = torch.zeros_like(network_input, requires_grad=False)
    return ReplayedGradient(eager, buffer, fitted, record, torch.cuda.Stream(values.device))


class ReplayedGradient:
    """A gradient function that is recorded after three calls and replayed from then on.

    It stays in eager mode if recording fails or a replay does not agree with ``eager``. ``shift``: the buffer from
    which the graph reads the perturbation. ``fitted``: the tensors whose gradients are set.
    """

    def __init__(
        self,
        eager: Gradient,
        shift: Tensor,
        fitted: Sequence[Tensor],
        record: Record,
        stream: torch.cuda.Stream | None,
    ) -> None:
        self._eager = eager
        self._shift = shift
        self.fitted = fitted
        self._record = record
        self._stream = stream
        self._calls = 0
        self._replay: Callable[[], None] | None = None
        self.result: tuple[Tensor, Tensor] | None = None

    @property
    def recorded(self) -> bool:
        """Whether calls are replayed from a graph."""
        return self._replay is not None

    def __call__(self, shift: Tensor | float) -> tuple[Tensor, Tensor]:
        """Image and loss, as copies that later replays do not change."""
        with torch.no_grad():
            if isinstance(shift, Tensor):
                self._shift.copy_(shift)
            else:
                self._shift.fill_(shift)
        self._calls += 1
        if self._calls == _WARM_UP_ITERATIONS + 1:
            self._record_graph()
        if self._replay is None or self.result is None:
            return self._run_eager()
        self._replay()
        image, loss = self.result
        return image.clone(), loss.clone()

    def _run_eager(self) -> tuple[Tensor, Tensor]:
        """Run in eager mode on the stream that is recorded later, because libraries prepare kernels per stream."""
        if self._stream is None:
            return self._eager(self._shift)
        main = torch.cuda.current_stream(self._stream.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            result = self._eager(self._shift)
        main.wait_stream(self._stream)
        return result

    def _record_graph(self) -> None:
        """Record the graph, and use it if a replay agrees with eager mode."""
        eager_loss = self._run_eager()[1]
        gradients = [None if tensor.grad is None else tensor.grad.clone() for tensor in self.fitted]

        def work() -> None:
            self.result = self._eager(self._shift)

        try:
            replay = self._record(work, self._stream)
            replay()
            if self._agrees(eager_loss, gradients):
                self._replay = replay
                return
            reason = "a replay does not agree with eager mode"
        except RuntimeError as error:  # out of memory, or a kernel that cannot be recorded
            reason = str(error)
        logging.getLogger(__name__).warning("No CUDA graph is used: %s", reason)
        self.result = None
        for tensor in self.fitted:
            tensor.grad = None

    def _agrees(self, eager_loss: Tensor, gradients: Sequence[Tensor | None]) -> bool:
        """Whether the last replay agrees with eager mode: its loss, and its gradients as one vector."""
        assert self.result is not None  # nosec B101: the work was run
        difference = length = 0.0
        for tensor, own in zip(self.fitted, gradients):
            if (tensor.grad is None) != (own is None):
                return False
            if own is not None and tensor.grad is not None:
                difference += float((tensor.grad - own).square().sum())
                length += float(own.square().sum())
        loss = float(eager_loss)
        # Comparisons with NaN are False.
        return (
            abs(float(self.result[1]) - loss) <= _LOSS_TOLERANCE * abs(loss)
            and difference <= _GRADIENT_TOLERANCE**2 * length
        )


def record(work: Callable[[], None], stream: torch.cuda.Stream | None) -> Callable[[], None]:
    """Record the GPU work of ``work``; nothing is computed until the returned function replays it.

    Raises RuntimeError if recording fails, and from then on in this process: recording again after an aborted
    recording is not safe.
    """
    with _recording, torch.cuda.stream(stream):  # restores device and stream in any case
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
