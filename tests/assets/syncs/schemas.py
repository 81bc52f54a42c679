"""Copies of a journal on a server, taken and brought back as a person would: whole schemas, at one moment."""

from contextlib import closing

import psycopg2

from models.journal_place import JournalServer

TABLES = "select table_name from information_schema.tables where table_schema = %s"
NUMBERED = (
    "select table_name, column_name from information_schema.columns where table_schema = %s and is_identity = 'YES'"
)


def copy(journal: JournalServer, name: str) -> None:
    """As a schema of this name in the same database."""
    with closing(psycopg2.connect(journal.url)) as connection, connection, connection.cursor() as cursor:
        connection.set_session(isolation_level="REPEATABLE READ")
        cursor.execute(f"drop schema if exists {name} cascade")
        cursor.execute(f"create schema {name}")
        cursor.execute(TABLES, [journal.schema])
        for (table,) in cursor.fetchall():
            cursor.execute(f"create table {name}.{table} (like {journal.schema}.{table} including all)")
            cursor.execute(f"insert into {name}.{table} select * from {journal.schema}.{table}")
        cursor.execute(NUMBERED, [name])
        for table, column in cursor.fetchall():
            following = f"(select coalesce(max({column}), 0) + 1 from {name}.{table})"
            cursor.execute(f"select setval(pg_get_serial_sequence('{name}.{table}', '{column}'), {following}, false)")


def restore(journal: JournalServer, name: str) -> None:
    """The copy of this name takes the journal's place; where there is none, the journal is lost."""
    with closing(psycopg2.connect(journal.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"drop schema {journal.schema} cascade")
        cursor.execute("select 1 from pg_namespace where nspname = %s", [name])
        if cursor.fetchone():
            cursor.execute(f"alter schema {name} rename to {journal.schema}")
