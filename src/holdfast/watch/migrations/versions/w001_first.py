"""First schema: exchanges, counts per minute, incidents, monitors, alarms, canary, schedule."""

from alembic import op

from holdfast.watch import schema

revision = "w001"
down_revision = None


def upgrade() -> None:
    """Build everything; a later version changes tables by hand, not through `schema`."""
    schema.metadata.create_all(op.get_bind())
