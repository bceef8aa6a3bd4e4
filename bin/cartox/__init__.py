"""What the steps of cartox share. Each module is named for what it knows; heavy imports stay in the steps."""

__version__ = "0.1.0"
