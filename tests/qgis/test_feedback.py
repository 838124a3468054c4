"""The log shows each step once, and the remaining time only if it helps."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.qgis


@pytest.fixture
def adapter(qgis_app):
    from deep_prior.algorithms.feedback import FeedbackAdapter
    from qgis.core import QgsProcessingFeedback

    class Feedback(QgsProcessingFeedback):
        steps = ()

        def setProgressText(self, text):
            self.steps += (text,)

    return FeedbackAdapter(Feedback(False))


def test_a_step_is_shown_once_and_its_remaining_time_when_it_has_fallen(adapter):
    from deep_prior.dip_core.events import Progress

    for fraction, step, remaining in (
        (0.1, "Reading", None),
        (0.2, "Reading", None),
        (0.3, "Filling", 300.0),
        (0.4, "Filling", 290.0),  # hardly less
        (0.5, "Filling", 60.0),
        (0.9, "Filling", 8.0),  # nearly done
        (0.9, "Writing", 5.0),
    ):
        adapter.on_progress(Progress(fraction, step, remaining))
    assert adapter.feedback.steps == (
        "Reading", "Filling (about 5 min left)", "Filling (about 60 s left)", "Writing"
    )  # fmt: skip
    assert adapter.feedback.progress() == pytest.approx(90)


@pytest.mark.parametrize(
    "seconds, text", [(12.4, "about 12 s"), (600, "about 10 min"), (5400, "about 1.5 h"), (36000, "about 10.0 h")]
)
def test_durations_are_rounded(qgis_app, seconds, text):
    from deep_prior.algorithms.feedback import format_duration

    assert format_duration(seconds) == text
