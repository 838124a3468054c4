"""Comparisons of Deep Prior with other methods; each module is a program, see README.md. Not part of the plugin."""
