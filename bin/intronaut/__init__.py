"""What the tools of bin/ share: manners, sequences, features, statistics and the two neural models."""

__version__ = "0.1.0"
