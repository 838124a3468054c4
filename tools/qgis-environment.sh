# Environment variables of QGIS for this checkout; sourced by qgis-process and run-tests.
#
# PATH: QGIS's embedded Python takes its prefix from the first python3 in PATH. With a python3 of pyenv, conda or a venv,
# it fails with "No module named 'qgis'" or crashes, so PATH contains the system's folders only.
# Profile: a folder in the checkout's .cache, in which this checkout is linked and enabled as a plugin. The user's profile
# is not changed.

checkout=$(dirname -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")")
qgis_home=$checkout/.cache/qgis

mkdir -p "$qgis_home/plugins" "$qgis_home/config/profiles/default/QGIS"
# Written only if needed, because another QGIS may be reading the files.
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
# Qt requires a folder that only its user can open.
install -d -m 0700 "$qgis_home/run"

unset PYTHONHOME PYTHONPATH PYTHONSTARTUP VIRTUAL_ENV
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
export QT_QPA_PLATFORM=offscreen
export XDG_RUNTIME_DIR=$qgis_home/run
export QGIS_PLUGINPATH=$qgis_home/plugins
export QGIS_CUSTOM_CONFIG_PATH=$qgis_home/config
# Without a locale, Qt reads file names as ASCII.
[ -n "${LC_ALL:-}${LANG:-}" ] || export LANG=C.UTF-8
if [ -z "${DEEP_PRIOR_PYTHON:-}" ] && [ -x "$checkout/.venv-engine/bin/python" ]; then
    export DEEP_PRIOR_PYTHON=$checkout/.venv-engine/bin/python
fi
