"""Opening a database loads the driver of its engine only."""

import subprocess
import sys

import pytest

from tests.tidy.sources import ROOT

pytestmark = pytest.mark.quick

OPEN = """
import sys
import packhouse.web.app
from packhouse.db.engines.database import open_database

open_database(sys.argv[1])
print("psycopg" in sys.modules)
"""


@pytest.mark.parametrize(("url", "loaded"), [("sqlite:///x.db", "False"), ("postgresql://host/x", "True")])
def test_the_driver_of_postgresql_is_loaded_when_a_database_needs_it(url: str, loaded: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-c", OPEN, url], cwd=ROOT, capture_output=True, check=True, text=True
    )
    assert printed.stdout.strip() == loaded
