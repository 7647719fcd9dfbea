"""How an engine would run a query of the server."""

import re

from packhouse.db.engines.database import Database
from packhouse.db.engines.postgresql import PostgresqlDatabase
from packhouse.db.session import QUERIES, SqlValue

_PARAM = re.compile(r"(?<!:):([a-z]\w*)")


def explain(database: Database, query: str, **params: SqlValue) -> str:
    """Return the plan of the named query as the engine words it.

    PostgreSQL reads small tables as a whole whatever indexes they have. So it is told that this is dear.
    """
    with database.read() as session:
        connection = session._connection  # type: ignore[attr-defined]  # asks the engine
        if not isinstance(database, PostgresqlDatabase):
            rows = connection.execute(f"EXPLAIN QUERY PLAN {QUERIES[query]}", params).fetchall()
            return "\n".join(str(row[3]) for row in rows)
        text = _PARAM.sub(r"%(\1)s", QUERIES[query].replace("%", "%%"))
        connection.execute("ANALYZE")
        connection.execute("SET enable_seqscan = off")
        rows = connection.execute(f"EXPLAIN {text}", params).fetchall()
        connection.execute("RESET enable_seqscan")
        return "\n".join(str(row[0]) for row in rows)
