# The environment in which QGIS runs for this checkout; sourced by qgis-process and run-tests, never run.
#
# PATH: QGIS's embedded Python takes its prefix from the first python3 in PATH, and a python3 of pyenv, conda
# or a venv there ends in "No module named 'qgis'" or a crash. Only the system's folders are safe.
# Profile: its own folder in the checkout's .cache, with this checkout linked and enabled as a plugin, so that
# neither the user's profile nor another checkout is touched.

checkout=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
qgis_home=$checkout/.cache/qgis

mkdir -p "$qgis_home/plugins" "$qgis_home/config/profiles/default/QGIS"
# Linked and written only where needed, since a QGIS that runs at the same time may be reading.
if [ "$(readlink -- "$qgis_home/plugins/deep_prior" || true)" != "$checkout" ]; then
    ln -sfn -- "$checkout" "$qgis_home/plugins/deep_prior"
fi
for settings in QGIS3.ini QGIS4.ini; do
    settings=$qgis_home/config/profiles/default/QGIS/$settings
    if ! grep -qs '^deep_prior=true' "$settings"; then
        printf '[PythonPlugins]\ndeep_prior=true\n' >"$settings.$$"
        mv -f -- "$settings.$$" "$settings"
    fi
done
# Qt asks for a folder that only its user can enter.
install -d -m 0700 "$qgis_home/run"

unset PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export QT_QPA_PLATFORM=offscreen
export XDG_RUNTIME_DIR=$qgis_home/run
export QGIS_PLUGINPATH=$qgis_home/plugins
export QGIS_CUSTOM_CONFIG_PATH=$qgis_home/config
# Without any locale, Qt takes file names for ASCII.
[ -n "${LC_ALL:-}${LANG:-}" ] || export LANG=C.UTF-8
if [ -z "${DEEP_PRIOR_PYTHON:-}" ] && [ -x "$checkout/.venv-engine/bin/python" ]; then
    export DEEP_PRIOR_PYTHON=$checkout/.venv-engine/bin/python
fi
