"""Holdfast: fine-tune a language model without losing its safety, and prove it."""

__version__ = "0.1.0"
