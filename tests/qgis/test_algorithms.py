"""The algorithms around a fake worker: which job they ask for, how they stage, name, style and fail."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.qgis

# Keeps the job beside the output, copies the input there, and tells a result.
COPY = """
    import shutil
    out = job["outputs"]["output"]
    with open(os.path.join(os.path.dirname(out), "job.json"), "w") as file:
        json.dump(job, file)
    for path in filter(None, job["outputs"].values()):
        if path.endswith(".tif"):
            shutil.copy(job["inputs"][0], path)
    tell("progress", fraction=0.5, step="Filling", remaining=600)
    tell("message", text="by the way", level="warning")
    tell("result", outputs={}, numbers={"PIXELS_LEFT": 0, "HELDOUT_R2": None, "PRIVATE": 1})
    """


@pytest.fixture
def scene(make_raster, scene_with_gaps, tmp_path):
    return make_raster(tmp_path / "scene.tif", scene_with_gaps)


@pytest.fixture
def fill(provider, fake_engine, monkeypatch, tmp_path):
    """Runs gapfillslcoff with a fake worker; returns results, the job that was asked for, and the feedback."""
    from qgis import processing
    from qgis.core import QgsProcessingFeedback

    (tmp_path / "out").mkdir()

    class Feedback(QgsProcessingFeedback):
        def __init__(self):
            super().__init__(False)
            self.steps = []

        def setProgressText(self, text):
            self.steps.append(text)

    def run(parameters, body=COPY, **options):
        monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine(body))
        feedback = Feedback()
        parameters = {"OUTPUT": str(tmp_path / "out" / "o.tif"), **parameters}
        results = processing.run("deepprior:gapfillslcoff", parameters, feedback=feedback, **options)
        asked = tmp_path / "out" / "job.json"
        return results, json.loads(asked.read_text()) if asked.exists() else None, feedback

    return run


def refusal(call, *arguments, **options) -> str:
    from qgis.core import QgsProcessingException

    with pytest.raises(QgsProcessingException) as caught:
        call(*arguments, **options)
    return str(caught.value)


def test_job_holds_what_was_asked(fill, scene, make_raster, scene_with_gaps, tmp_path):
    mask = make_raster(tmp_path / "mask.tif", (scene_with_gaps[:1] > 0).astype("u1"), None)
    other = make_raster(tmp_path / "b2.tif", scene_with_gaps[1:2])
    parameters = {
        "INPUT": scene, "BANDS": [other], "GAP_MASK": [mask, mask], "MASK_POLARITY": "zero_is_gap", "GUIDE": other,
        "METHOD": "fast", "DEVICE": "cuda:1", "SEED": "7", "TIME_BUDGET": 90, "TILE_SIZE": 256, "OVERLAP": 32,
        "SCHEDULER": "tcp://host:8786", "FILL_EXTERIOR": True, "NETWORK_INPUT": "meshgrid",
        "REPORT": str(tmp_path / "r.html"),
    }  # fmt: skip
    _, job, _ = fill(parameters)
    assert job["task"] == "gap_fill"
    assert job["inputs"] == [scene, other] and job["gap_masks"] == [mask, mask] and job["guide"] == other
    assert (job["method"], job["mask_polarity"], job["network_input"]) == ("fast", "zero_is_gap", "meshgrid")
    assert job["fill_exterior"] is True
    assert job["outputs"]["report"] == str(tmp_path / "r.html") and job["outputs"]["uncertainty"] is None
    compute = job["compute"]
    assert (compute["device"], compute["seed"], compute["time_budget"]) == ("cuda:1", 7, 90)
    assert (compute["tile_size"], compute["overlap"], compute["scheduler"]) == (256, 32, "tcp://host:8786")


def test_defaults_make_the_default_job(fill, scene):
    _, job, _ = fill({"INPUT": scene})
    assert (job["method"], job["compute"]["device"], job["compute"]["seed"]) == ("best", "auto", 0)
    assert job["compute"]["time_budget"] is None and job["compute"]["scheduler"] is None
    assert job["gap_masks"] == [] and job["guide"] is None and job["fill_exterior"] is False


def test_results_are_destinations_and_numbers_of_the_interface(fill, scene, tmp_path):
    results, _, feedback = fill({"INPUT": scene})
    assert results == {"OUTPUT": str(tmp_path / "out" / "o.tif"), "PIXELS_LEFT": 0}
    assert "by the way" in feedback.textLog() and feedback.steps == ["Filling (about 10 min left)"]


def test_relative_paths_mean_the_users_folder(fill, scene, tmp_path, monkeypatch):
    """The worker runs in another folder."""
    monkeypatch.chdir(tmp_path)
    results, job, _ = fill({"INPUT": "scene.tif", "OUTPUT": "out/o.tif"})
    assert job["inputs"] == [scene] and job["outputs"]["output"] == str(tmp_path / "out" / "o.tif")
    assert results["OUTPUT"] == "out/o.tif"


def test_gzipped_masks_as_usgs_delivers_them(fill, scene, make_raster, scene_with_gaps, tmp_path):
    import gzip

    plain = make_raster(tmp_path / "LE07_GM_B1.TIF", (scene_with_gaps[:1] > 0).astype("u1"), None)
    packed = plain + ".gz"
    Path(packed).write_bytes(gzip.compress(Path(plain).read_bytes()))
    _, job, _ = fill({"INPUT": scene, "GAP_MASK": [packed, f"/vsigzip/{packed}"]})
    assert [path.replace("/vsigzip/", "") for path in job["gap_masks"]] == [packed, packed]


def test_layers_ids_and_joined_paths_are_inputs_too(fill, scene, qgis_new_project, make_raster, whole_scene, tmp_path):
    from qgis.core import QgsProject, QgsRasterLayer

    other, third = (make_raster(tmp_path / f"b{number}.tif", whole_scene[:1]) for number in (2, 3))
    layer = QgsRasterLayer(scene, "my scene")
    QgsProject.instance().addMapLayer(layer)
    assert fill({"INPUT": layer})[1]["inputs"] == [scene]
    assert fill({"INPUT": layer.id(), "BANDS": f"{other};{third}"})[1]["inputs"] == [scene, other, third]
    assert fill({"INPUT": "my scene"})[1]["inputs"] == [scene]


def test_memory_raster_is_staged(fill, make_raster, scene_with_gaps, tmp_path):
    """Another process cannot see GDAL's memory files."""
    from osgeo import gdal

    source = make_raster("/vsimem/scene.tif", scene_with_gaps, wavelength="0.48")
    _, job, _ = fill({"INPUT": source})
    assert not job["inputs"][0].startswith("/vsimem") and not Path(job["inputs"][0]).exists()  # removed afterwards
    copy = gdal.Open(str(tmp_path / "out" / "o.tif"))
    assert (copy.ReadAsArray() == scene_with_gaps).all()
    assert copy.GetRasterBand(2).GetMetadataItem("wavelength") == "0.48" and copy.GetRasterBand(1).GetNoDataValue() == 0
    gdal.Unlink("/vsimem/scene.tif")


def test_layer_of_another_provider_is_staged(fill, qgis_new_project, scene, tmp_path):
    """GDAL does not know QGIS's own virtual rasters, nor its WCS layers: their pixels come from QGIS."""
    from osgeo import gdal
    from qgis.core import QgsProject, QgsRasterLayer

    source = QgsRasterLayer(scene, "b")
    QgsProject.instance().addMapLayer(source)
    extent = source.extent()
    corners = f"{extent.xMinimum()},{extent.yMinimum()},{extent.xMaximum()},{extent.yMaximum()}"
    uri = (
        f'?crs=EPSG:32622&extent={corners}&width={source.width()}&height={source.height()}&formula="b@1" + 1'
        f"&b:uri={scene}&b:provider=gdal"
    )
    layer = QgsRasterLayer(uri, "computed", "virtualraster")
    assert layer.isValid()
    _, job, _ = fill({"INPUT": layer})
    assert job["inputs"][0].endswith(".tif")
    computed = gdal.Open(str(tmp_path / "out" / "o.tif")).ReadAsArray()
    original = gdal.Open(scene).ReadAsArray()[0]
    assert (computed[original > 0] == original[original > 0] + 1.0).all()


def test_raster_that_the_worker_cannot_open_is_staged_and_tried_again(fill, make_raster, scene_with_gaps, tmp_path):
    from osgeo import gdal

    envi = str(tmp_path / "cube.dat")
    flat = gdal.Open(make_raster(tmp_path / "flat.tif", scene_with_gaps))
    gdal.Translate(envi, flat, format="ENVI").SetMetadataItem("fwhm", "{1,2,3}", "ENVI")
    body = """
    if not job["inputs"][0].endswith(".tif"):
        tell("error", text="no", kind="UnreadableRaster", facts={"path": job["inputs"][0], "reason": "driver"})
        sys.exit(1)
    """
    _, job, feedback = fill({"INPUT": envi}, body + COPY)
    assert job["inputs"][0].endswith(".tif")
    assert "QGIS made a copy" in feedback.textLog()
    assert (gdal.Open(str(tmp_path / "out" / "o.tif")).ReadAsArray() == scene_with_gaps).all()


def test_raster_that_nobody_can_read_fails_once(fill, scene, tmp_path):
    body = """
    with open(job["outputs"]["output"] + ".count", "a") as file:
        file.write("x")
    tell("error", text="Cannot read it.", kind="UnreadableRaster", facts={"path": job["inputs"][0], "reason": "r"})
    sys.exit(1)
    """
    # QGIS opens the header, yet the pixels end early.
    data = Path(scene).read_bytes()
    Path(scene).write_bytes(data[: len(data) // 3])
    assert "Cannot read it." in refusal(fill, {"INPUT": scene}, body)
    assert (tmp_path / "out" / "o.tif.count").read_text() == "x"


@pytest.mark.parametrize(
    "parameters, words",
    [
        ({"OUTPUT": "o.png"}, "OUTPUT 'o.png' is no GeoTIFF name"),
        ({"OUTPUT": "o.tif", "UNCERTAINTY": "u.img"}, "UNCERTAINTY 'u.img'"),
        ({"DEVICE": "gpu"}, "DEVICE 'gpu' is unknown: use auto, cpu, cuda:N or mps."),
        ({"METHOD": "magic"}, "METHOD 'magic' is unknown: use best, fast"),
        ({"TILE_SIZE": 10}, "TILE_SIZE is 10"),
        ({"TILE_SIZE": 100, "OVERLAP": 60}, "OVERLAP 60 is too large"),
        ({"TIME_BUDGET": -3}, "TIME_BUDGET '-3' cannot be used"),
        ({"INPUT": "/nowhere/a.tif"}, "INPUT '/nowhere/a.tif' is neither a raster file nor a raster layer"),
        ({"INPUT": __file__}, "is not a raster that can be read"),
        ({"INPUT": str(Path(__file__).parent)}, "is a folder"),
        ({"GAP_MASK": ["/nowhere/m.tif"]}, "GAP_MASK '/nowhere/m.tif'"),
        ({"GUIDE": __file__}, "GUIDE"),
    ],
)
def test_bad_input_is_one_sentence(fill, scene, tmp_path, parameters, words):
    assert words in refusal(fill, {"INPUT": scene, **parameters})
    assert not (tmp_path / "out" / "job.json").exists()  # no worker was started


def test_output_must_not_be_the_input(fill, scene):
    before = Path(scene).read_bytes()
    assert "would overwrite the input" in refusal(fill, {"INPUT": scene, "OUTPUT": scene})
    assert Path(scene).read_bytes() == before


def test_workers_sentence_is_the_users(fill, scene):
    body = """
    tell("error", text="The mask lies elsewhere. Warp it first.", kind="GridMismatch", facts={})
    sys.exit(1)
    """
    assert refusal(fill, {"INPUT": scene}, body) == "The mask lies elsewhere. Warp it first."


def test_cancel_raises_and_leaves_nothing(provider, fake_engine, monkeypatch, scene, tmp_path):
    """A cancelled algorithm that returned normally would look like success to a script."""
    from qgis import processing
    from qgis.core import QgsProcessingFeedback

    python = fake_engine("""
        open(partial(job["outputs"]["output"]), "w").write("half")
        tell("progress", fraction=0.1, step="started")
        sys.stdin.readline()
        os.remove(partial(job["outputs"]["output"]))
        tell("error", text="The run was cancelled; no output was written.", kind="Cancelled", facts={})
        sys.exit(130)
        """)
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", python)
    feedback = QgsProcessingFeedback(False)
    feedback.progressChanged.connect(lambda share: threading.Timer(0.2, feedback.cancel).start())
    start = time.monotonic()
    words = refusal(
        processing.run,
        "deepprior:gapfillslcoff",
        {"INPUT": scene, "OUTPUT": str(tmp_path / "o.tif")},
        feedback=feedback,
    )
    assert "cancelled" in words
    assert time.monotonic() - start < 3
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".xml") == ["engine", "scene.tif"]


# ---------------------------------------------------------------- result layers


@pytest.fixture
def loaded(fill, scene, qgis_new_project):
    """Runs as the toolbox does when outputs are to be opened, and loads them."""
    from qgis.core import (
        QgsProcessingContext,
        QgsProcessingFeedback,
        QgsProcessingOutputLayerDefinition,
        QgsProject,
        QgsRasterLayer,
    )

    def run(style=None):
        project = QgsProject.instance()
        layer = QgsRasterLayer(scene, "my scene")
        if style:
            style(layer)
        project.addMapLayer(layer)
        context = QgsProcessingContext()
        context.setProject(project)
        outputs = {
            name: QgsProcessingOutputLayerDefinition("TEMPORARY_OUTPUT", project)
            for name in ("OUTPUT", "UNCERTAINTY", "FILLED")
        }
        body = COPY.replace('with open(os.path.join(os.path.dirname(out), "job.json"), "w") as file:', "if False:")
        results, _, _ = fill({"INPUT": layer, **outputs}, body.replace("json.dump(job, file)", "pass"), context=context)
        found = {}
        feedback = QgsProcessingFeedback(False)
        for name, destination in results.items():
            if context.willLoadLayerOnCompletion(str(destination)):
                details = context.layerToLoadOnCompletionDetails(destination)
                shown = QgsRasterLayer(destination, details.name)
                details.postProcessor().postProcessLayer(shown, context, feedback)
                found[name] = shown
        return layer, found

    return run


def test_result_layers_are_named_and_styled(loaded):
    import gc

    _, found = loaded()
    gc.collect()
    assert {name: layer.name() for name, layer in found.items()} == {
        "OUTPUT": "my scene filled", "UNCERTAINTY": "my scene uncertainty", "FILLED": "my scene changed pixels"
    }  # fmt: skip
    ramp = found["UNCERTAINTY"].renderer()
    assert ramp.type() == "singlebandpseudocolor" and ramp.classificationMin() == 0
    assert 100 < ramp.classificationMax() < 300  # mean + 2 deviations of bytes around 110
    mask = found["FILLED"].renderer()
    assert mask.type() == "paletted"
    assert {entry.value: entry.color.alpha() > 0 for entry in mask.classes()} == {0: False, 1: True}
    assert mask.classes()[1].color.alpha() < 255  # the scene stays visible below


def test_stripe_mask_is_asked_for_named_and_styled(provider, fake_engine, monkeypatch, make_raster, tmp_path):
    import numpy as np
    from qgis import processing
    from qgis.core import QgsProcessingContext, QgsProcessingFeedback, QgsProject, QgsRasterLayer

    body = """
    import shutil
    with open(os.path.join(os.path.dirname(job["outputs"]["output"]), "job.json"), "w") as file:
        json.dump(job, file)
    shutil.copy(job["input"], job["outputs"]["output"])
    tell("result", outputs={}, numbers={"STRIPED_BANDS": 2, "DEAD_LINES": 1, "OFFSET_LINES": 3})
    """
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine(body))
    source = make_raster(tmp_path / "cube.tif", np.arange(24, dtype="u1").reshape(2, 3, 4) % 3, None)
    context, feedback = QgsProcessingContext(), QgsProcessingFeedback()
    target = str(tmp_path / "mask.tif")
    details = QgsProcessingContext.LayerDetails("x", QgsProject.instance(), "OUTPUT")
    context.addLayerToLoadOnCompletion(target, details)
    results = processing.run(
        "deepprior:detectstripes", {"INPUT": source, "OUTPUT": target}, context=context, feedback=feedback
    )
    assert results == {"OUTPUT": target, "STRIPED_BANDS": 2, "DEAD_LINES": 1, "OFFSET_LINES": 3}
    job = json.loads((tmp_path / "job.json").read_text())
    assert (job["task"], job["input"], job["outputs"]["metrics"]) == ("detect_stripes", source, None)
    details = context.layerToLoadOnCompletionDetails(target)
    assert details.name == "cube stripe mask"
    layer = QgsRasterLayer(target, "mask")
    details.postProcessor().postProcessLayer(layer, context, feedback)
    shown = {entry.value: (entry.label, entry.color.alpha() > 0) for entry in layer.renderer().classes()}
    assert shown == {0: ("clean", False), 1: ("dead", True), 2: ("offset", True)}


def test_filled_layer_looks_like_its_input(loaded):
    from qgis.core import QgsContrastEnhancement

    def style(layer):
        layer.renderer().setRedBand(3)
        enhancement = QgsContrastEnhancement(layer.renderer().redContrastEnhancement())
        enhancement.setMaximumValue(77)
        layer.renderer().setRedContrastEnhancement(enhancement)

    _, found = loaded(style)
    renderer = found["OUTPUT"].renderer()
    assert renderer.redBand() == 3 and renderer.redContrastEnhancement().maximumValue() == 77


# ---------------------------------------------------------------- engine set-up


def set_up(**parameters):
    from qgis import processing

    return processing.run("deepprior:setupengine", parameters)


def test_test_gives_diagnostics_to_paste(provider, fake_engine, monkeypatch, tmp_path):
    answer = {
        "python": "3.12.1",
        "versions": {"torch": "2.9.0", "rasterio": "1.4.3"},
        "devices": [{"id": "cpu", "name": "CPU, 8 cores"}, {"id": "cuda:0", "name": "NVIDIA X"}],
    }
    python = fake_engine(f"print({json.dumps(answer)!r})")
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", python)
    results = set_up(ACTION="test", REPORT=str(tmp_path / "d.html"), LOG=str(tmp_path / "log.txt"))
    text = results["DIAGNOSTICS"]
    for words in ("Deep Prior 0.1.0", "QGIS 3.", "torch 2.9.0", "Device cuda:0: NVIDIA X", python, "3.12.1"):
        assert words in text
    assert results["ENGINE_PYTHON"] == python
    assert "NVIDIA X" in (tmp_path / "d.html").read_text() and (tmp_path / "log.txt").exists()


def test_test_fails_where_the_engine_does_not_work(provider, fake_engine, monkeypatch):
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", fake_engine("""print('{"missing": ["torch"]}'); sys.exit(1)"""))
    assert "lacks torch" in refusal(set_up, ACTION="test")


def test_build_passes_choices_proxy_and_cancel_on(provider, fake_engine, monkeypatch, tmp_path):
    from deep_prior.algorithms import environment
    from qgis.core import QgsSettings

    asked = {}

    def build(folder, base, compute, **options):
        asked.update(folder=folder, base=base, compute=compute, **options)
        options["progress"](0.5)
        raise environment.EngineProblem("The disk is full: free some space.")

    monkeypatch.setattr(environment, "build", build)
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path))
    settings = {"proxyEnabled": True, "proxyType": "HttpProxy", "proxyHost": "proxy.example", "proxyPort": "8080"}
    for key, value in {**settings, "proxyUser": "joe", "proxyPassword": "a@b"}.items():  # pragma: allowlist secret
        QgsSettings().setValue(f"proxy/{key}", value)
    try:
        words = refusal(set_up, ACTION="build", COMPUTE="cpu", LOG=str(tmp_path / "log.txt"))
    finally:
        QgsSettings().remove("proxy")
    assert words == "The disk is full: free some space."
    assert asked["folder"].startswith(str(tmp_path)) and asked["base"] is None and asked["compute"] == "cpu"
    assert asked["proxy"] == "http://joe:a%40b@proxy.example:8080"  # pragma: allowlist secret
    assert asked["is_cancelled"]() is False and asked["log"] == str(tmp_path / "log.txt")


def test_build_says_when_another_engine_goes_first(provider, fake_engine, monkeypatch, tmp_path):
    from deep_prior.algorithms import environment
    from qgis import processing
    from qgis.core import QgsProcessingFeedback

    other = fake_engine("""print('{"python": "3", "versions": {}, "devices": []}')""")
    monkeypatch.setenv("DEEP_PRIOR_PYTHON", other)
    monkeypatch.setattr(environment, "build", lambda *_, **__: "/managed/python")
    feedback = QgsProcessingFeedback(False)
    results = processing.run("deepprior:setupengine", {"ACTION": "build"}, feedback=feedback)
    assert results["ENGINE_PYTHON"] == other
    assert "The new environment is not in use" in feedback.textLog() and other in feedback.textLog()


def test_remove_where_nothing_is(provider, monkeypatch, tmp_path):
    monkeypatch.setenv("DEEP_PRIOR_HOME", str(tmp_path))
    monkeypatch.delenv("DEEP_PRIOR_PYTHON", raising=False)
    results = set_up(ACTION="remove")
    assert "not set up" in results["DIAGNOSTICS"] and results["ENGINE_PYTHON"] == ""
