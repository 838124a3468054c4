"""The tables of the DHP and CASCADE papers with our presets in them, measured by the papers' own protocols.

A *problem* is a clean cube and the damaged cube that methods get. A *row* is one method on one problem. The row of an
untrained network is a *trace*: scores at selected iterations of the product's own fit.
"""
