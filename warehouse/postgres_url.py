"""What a URL of PostgreSQL says, for whoever connects otherwise than the port does: dbt, by fields and variables."""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from pathlib import Path

import psycopg2
from psycopg2.extensions import parse_dsn

from models.errors import UserError
from models.postgres_server import shown

SOCKETS = Path("/var/run/postgresql")  # where Debian's server listens; the library in the driver's wheel looks in /tmp
OWN = ("host", "port", "user", "password", "dbname", "options")
VARIABLES = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "channel_binding": "PGCHANNELBINDING",
    "gssencmode": "PGGSSENCMODE",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
}  # what dbt has no field for, and what the client's library reads


def parsed(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Its parts, by libpq's names; what it leaves out is as in every program of PostgreSQL.

    Raises UserError for what is no URL, names no database, or says what dbt could not be told.
    """
    try:
        found = {name: str(value) for name, value in parse_dsn(url).items()}
    except psycopg2.Error as error:
        del error  # its text may quote the URL
        message = f"{shown(url)}: no address of a server; write postgresql://user:password@host/database"
        raise UserError(message) from None
    if not found.get("dbname"):
        message = "TAILRACE_WAREHOUSE names no database; write postgresql://user@host/database"
        raise UserError(message)
    if unknown := sorted(found.keys() - {*OWN, *VARIABLES}):
        allowed = ", ".join(VARIABLES)
        message = f"TAILRACE_WAREHOUSE: '{unknown[0]}' cannot be passed to dbt; what may stand after the ? is {allowed}"
        raise UserError(message)
    usual = {"host": environ.get("PGHOST", ""), "port": environ.get("PGPORT", "")}
    usual["user"] = environ.get("PGUSER") or getpass.getuser()
    parts = {**usual, **found}
    if not (parts["port"] or "5432").isdigit():
        message = f"TAILRACE_WAREHOUSE: one host and one port; it has the ports {parts['port']}"
        raise UserError(message)
    return parts


def variables(parts: Mapping[str, str]) -> dict[str, str]:
    """What dbt's own connection is told by the environment."""
    return {VARIABLES[name]: value for name, value in parts.items() if name in VARIABLES}


def with_host(url: str, environ: Mapping[str, str]) -> str:
    """The URL; where neither it nor the environment names a host, with the folder of this machine's sockets."""
    if parsed(url, environ)["host"] or not SOCKETS.is_dir():
        return url
    return f"{url}{'&' if '?' in url else '?'}host={SOCKETS}"
