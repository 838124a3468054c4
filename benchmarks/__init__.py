"""Comparisons of Deep Prior with other methods; each module is a program, see README.md. Not part of the plugin."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
