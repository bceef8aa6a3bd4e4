"""What the steps of cartox share, a package for each thing it knows; heavy imports stay where used."""

__version__ = "0.1.0"
