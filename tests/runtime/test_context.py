"""A run's context: progress that only grows, warnings emitted once, and the time that is left."""

from __future__ import annotations

import math
import time

import pytest

from dip_core.events import Message, Progress
from dip_core.runtime.context import Context


@pytest.fixture
def emitted():
    return []


def test_nested_sections(emitted):
    context = Context(emitted.append)
    with context.section(0.5, 1.0):
        context.progress(0.0, "a")
        with context.section(0.5, 0.9):
            context.progress(0.5, "b")
        context.progress(1.0, "c")
    context.progress(0.25, "d")
    # 0.5 + 0.5 * (0.5 + 0.4 * 0.5) = 0.85
    assert [(event.fraction, event.step) for event in emitted] == [(0.5, "a"), (0.85, "b"), (1.0, "c"), (0.25, "d")]


def test_a_failed_section_restores_the_scale(emitted):
    context = Context(emitted.append)
    with pytest.raises(KeyError), context.section(0.2, 0.3):
        raise KeyError
    context.progress(0.5)
    assert emitted[-1].fraction == 0.5


def test_tiny_steps_are_not_emitted(emitted):
    """A fit of thousands of iterations must not flood the pipe."""
    context = Context(emitted.append)
    for number in range(10_001):
        context.progress(number / 10_000, "fit")
    assert 400 <= len(emitted) <= 501
    assert [event.fraction for event in emitted] == sorted(event.fraction for event in emitted)


def test_fractions_are_kept_between_0_and_1(emitted):
    context = Context(emitted.append)
    context.progress(-3.0, "a")
    context.progress(7.0, "b")
    assert [event.fraction for event in emitted] == [0.0, 1.0]


def test_the_remaining_time_is_estimated(emitted):
    context = Context(emitted.append)
    context.progress(0.01, "too early to say")
    time.sleep(0.1)
    context.progress(0.5, "half")
    assert emitted[0].remaining is None
    assert emitted[1].remaining == pytest.approx(context.seconds_spent, abs=0.1)
    assert isinstance(emitted[1], Progress)


def test_warnings_are_emitted_once_and_kept(emitted):
    context = Context(emitted.append)
    for text in ("Mind the gap.", "Mind the gap.", "And the step."):
        context.warn(text)
    context.info("By the way.")
    assert context.warnings == ["Mind the gap.", "And the step."]
    assert emitted == [
        Message("Mind the gap.", "warning"),
        Message("And the step.", "warning"),
        Message("By the way.", "info"),
    ]


def test_the_time_budget_runs_down():
    assert Context().seconds_left == math.inf
    context = Context(time_budget=0.05)
    assert 0 < context.seconds_left <= 0.05
    time.sleep(0.06)
    assert context.seconds_left < 0 and context.seconds_spent > 0.05
