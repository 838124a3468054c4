"""Checks that a change of the code changes no output: runs the same jobs in two checkouts and compares all results.

Usage, from the checkout: ``.venv-engine/bin/python -m tools.compare_outputs BEFORE [AFTER]``. ``--help`` lists the
options.
"""
