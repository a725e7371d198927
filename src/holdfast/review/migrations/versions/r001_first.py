"""First schema: items, findings, decisions with their chain, users, full-text index."""

from alembic import op

from holdfast.review import schema

revision = "r001"
down_revision = None

_SQLITE = [
    "CREATE VIRTUAL TABLE item_text USING fts5(text, content='', tokenize='unicode61')",
    "CREATE TRIGGER decisions_no_update BEFORE UPDATE ON decisions "
    "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END",
    "CREATE TRIGGER decisions_no_delete BEFORE DELETE ON decisions "
    "BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END",
]
_POSTGRESQL = [
    "CREATE TABLE item_text (rowid BIGINT PRIMARY KEY REFERENCES items(id), words tsvector NOT NULL)",
    "CREATE INDEX item_text_words ON item_text USING gin(words)",
    "CREATE FUNCTION decisions_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION 'decisions are append-only'; END $$",
    "CREATE TRIGGER decisions_append_only BEFORE UPDATE OR DELETE ON decisions "
    "FOR EACH ROW EXECUTE FUNCTION decisions_append_only()",
    "CREATE TRIGGER decisions_no_truncate BEFORE TRUNCATE ON decisions "
    "FOR EACH STATEMENT EXECUTE FUNCTION decisions_append_only()",
]


def upgrade() -> None:
    """Build everything; a later version changes tables by hand, not through `schema`."""
    connection = op.get_bind()
    schema.metadata.create_all(connection)
    connection.execute(schema.chain.insert().values(id=1, seq=0, head="0" * 64))
    for statement in _SQLITE if connection.dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
