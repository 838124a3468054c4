"""The networks: untrained, fitted to the one image."""
