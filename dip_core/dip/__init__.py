"""The deep image prior: change here networks, presets, the loss and the fitting loop."""
