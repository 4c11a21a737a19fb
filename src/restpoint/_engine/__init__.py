"""Workflows: replay, and how a run leaves memory and comes back."""
