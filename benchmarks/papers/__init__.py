"""The tables of the DHP and CASCADE papers with our presets in them, by the papers' own protocols.

A *protocol* makes a *problem*: a clean cube, and what methods are given of it. A *row* is one method on one problem;
an untrained network's row is a *trace*: its scores at chosen iterations of the product's own fit.
"""
