"""What the plugin reads from QGIS's settings: the engine's Python, and the network proxy."""

from __future__ import annotations

from urllib.parse import quote

from qgis.core import QgsSettings

from .engine_locate import Engine, find_python
from .engine_process import SETUP_HINT, EngineError

PYTHON_SETTING = "deep_prior/python"


def find_engine() -> Engine:
    """The engine to use; raises EngineError with one sentence that says what to do."""
    engine = find_python(QgsSettings().value(PYTHON_SETTING, "", type=str))
    if engine is None:
        raise EngineError(f"The restoration engine is not set up. {SETUP_HINT}")
    return engine


def proxy_url() -> str | None:
    """The proxy of QGIS's network settings as a URL; None for the system's own proxy, which pip finds itself."""
    settings = QgsSettings()
    if not settings.value("proxy/proxyEnabled", False, type=bool):
        return None
    kind = settings.value("proxy/proxyType", "", type=str)
    host = settings.value("proxy/proxyHost", "", type=str)
    if kind == "DefaultProxy" or not host:
        return None
    scheme = "socks5" if kind == "Socks5Proxy" else "http"
    port = settings.value("proxy/proxyPort", "", type=str)
    user = settings.value("proxy/proxyUser", "", type=str)
    password = settings.value("proxy/proxyPassword", "", type=str)
    login = f"{quote(user, safe='')}:{quote(password, safe='')}@" if user else ""
    return f"{scheme}://{login}{host}{':' + port if port else ''}"
