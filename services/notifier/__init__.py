"""Tells a webhook of battles as they open and of breaches of the three-revert rule."""
