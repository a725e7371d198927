"""Alembic migrations of the watch tables, which live beside those of review."""
