"""Every example on every page works as printed, on the repository that `packhouse demo` makes.

The rules for a page (README.md and all of docs/). The word behind the three back quotes tells the kind of a block:

- `http`: a request. It is `METHOD /path`, then headers if need be, a blank line and the body. It is sent with the token
  that the demo prints for `apps/shop`, unless it has an `Authorization` line. `<token for NAME>` is a token for that
  repository (`org`: for calls to the organisation), `{repository_id}` the number of `apps/shop`.
- The answer to a request is the next block, if only blank lines stand between. It is `json`, or `text` (for an archive,
  the names in it), or `http` with the line `HTTP/1.1 404 Not Found` and the headers that matter. Without such a line
  the status must be 2xx. A problem in a `json` block has its status in `status`.
- `…` stands for text that differs from run to run. Within a string it is any text; bare, it is any value
  (`"pack_bytes": …`). At the end of an object or array it is further members, and alone in a line of text it is any
  lines. Everything else is compared, ids to the last digit. In a table, two or more spaces count as one gap.
- `sh`: run by bash in a folder with `.venv` and the demo's `data`, with `$SERVER` and `$TOKEN`. All blocks of a page
  run in one shell, which ends at the first failing command. An answer behind the block is its output. `python` runs
  there, too.
- The blocks of a page run in order, and every page starts with a new demo.
- `json` and `sql` blocks that are no answer are not run. JSON must be valid all the same.
- Other blocks, such as synopses, are indented by four spaces. A command or request that could be run as it stands must
  be in one of the blocks above, or in NOT_RUN with the reason. A word in capitals, a bracket or `…` makes it a form to
  fill in.

When answers have changed for a good reason, `pytest -k test_examples --write-examples` writes them onto the pages and
keeps the ellipses. Look at the difference before you commit it.
"""

import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.examples import (
    KINDS,
    Answer,
    Block,
    Example,
    difference,
    find_blocks,
    find_examples,
    find_unfenced_commands,
    masked_like,
    parse_answer,
    parse_json,
    parse_request,
    print_json,
    text_matches,
)
from tests.support.servers.demo import RunningDemo
from tests.support.servers.ports import free_port
from tests.support.servers.programs import PACKAGES, need_programs
from tests.tidy.sources import ROOT

PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])

SERVE = "packhouse serve --data /srv/packhouse --listen 0.0.0.0:443 --tls-cert cert.pem --tls-key key.pem --workers 4"

STREAM = '$ curl -N -H "Authorization: Bearer $TOKEN" "$SERVER/api/repos/apps%2Fshop/events"'

# Commands that could be run as they stand and are not, by page and line.
NOT_RUN = {
    ("README.md", "make run"): "every page of this test runs what it starts",
    ("README.md", "make test"): "is running",
    ("docs/quickstart.md", "make run"): "every page of this test runs what it starts",
    ("docs/reference/commands.md", SERVE): "it would serve everybody, on a port of the administrator's",
    ("docs/reference/events.md", STREAM): "it has no end; tests/acceptance/outside/test_events.py reads it",
}

# Where the quickstart serves; the test serves elsewhere, since another program may have that port.
QUICKSTART_ADDRESS = "127.0.0.1:8081"


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(reply: httpx.Response) -> str:
    """Return a body as text. For an archive, return the names in it, one a line."""
    kind = reply.headers.get("Content-Type", "")
    if kind == "application/zip":
        with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
            return "\n".join(archive.namelist())
    if kind in ("application/gzip", "application/x-tar", "application/x-bzip2"):
        with tarfile.open(fileobj=io.BytesIO(reply.content)) as tar:
            return "\n".join(tar.getnames())
    return reply.text


def run_request(demo: RunningDemo, example: Example) -> tuple[str | None, str]:
    """Send an example; return how the answer differs, and the text that the page should have."""
    printed = parse_answer(example.answer)
    reply = demo.send(parse_request(example.block.text))
    status = reply.status_code
    if not (200 <= status < 300 if printed.status is None else status == printed.status):
        return f"status {status}: {reply.text}", ""
    for name, value in printed.headers.items():
        if not text_matches(value, reply.headers.get(name, "")):
            return f"header {name}: {reply.headers.get(name)}", ""
    if printed.body is None:
        return None, ""
    return compare(printed, text_of(reply))


def compare(printed: Answer, actual: str) -> tuple[str | None, str]:
    assert printed.body is not None
    if not printed.is_json:
        return (None if text_matches(printed.body, actual) else f"answer: {actual}"), actual
    wanted, got = parse_json(printed.body), parse_json(actual)
    return difference(wanted, got), print_json(masked_like(wanted, got))


def run_command(demo: RunningDemo, example: Example, change: Callable[[str], str]) -> tuple[str | None, str]:
    """Run a block in the page's shell; return how its output differs, and the text that the page should have."""
    text = change(example.block.text)
    if example.block.kind == "python":
        text = f"python3 - <<'END-OF-PYTHON'\n{text}END-OF-PYTHON\n"
    output = demo.paste(text)
    printed = parse_answer(example.answer)
    return (None, "") if printed.body is None else compare(printed, change(output))


def write_answers(page: Path, answers: list[tuple[Block, str]]) -> None:
    """Write new answers into the blocks of a page. A head of status and headers stays."""
    text = page.read_text("utf-8")
    for block, answer in reversed(answers):
        head, _, _ = block.text.partition("\n\n")
        lines = (f"{head}\n\n{answer}" if block.kind == "http" else answer).rstrip("\n").split("\n")
        text = text[: block.start] + "".join(f"{block.indent}{line}\n" for line in lines) + text[block.end :]
    page.write_text(text, "utf-8")


@pytest.mark.parametrize(
    "page", [page for page in PAGES if find_examples(page.read_text("utf-8"))], ids=name_of
)
def test_each_example_works_as_printed(page: Path, request: pytest.FixtureRequest) -> None:
    examples = find_examples(page.read_text("utf-8"))
    commands = "".join(example.block.text for example in examples if example.block.kind == "sh")
    need_programs(*(name for name in PACKAGES if re.search(rf"(?m)(?:^|[ (|]){name}(?= )", commands)))
    address = f"127.0.0.1:{free_port()}"
    changed, wrong = [], []
    with RunningDemo() as demo:
        for example in examples:
            if example.block.kind == "http":
                found, answer = run_request(demo, example)
            else:
                found, answer = run_command(
                    demo, example, lambda text: text.replace(QUICKSTART_ADDRESS, address)
                )
            if found is not None:
                wrong.append(
                    f"{name_of(page)}:{example.block.line}: {example.block.text.splitlines()[0]}\n    {found}"
                )
                if example.answer is not None and answer:
                    changed.append((example.answer, answer))
    if request.config.getoption("--write-examples"):
        write_answers(page, changed)
    assert not wrong, "\n".join(wrong)


@pytest.mark.quick
def test_every_block_of_every_page_is_of_a_known_kind() -> None:
    unknown = [
        f"{name_of(page)}:{block.line}: ```{block.kind}"
        for page in PAGES
        for block in find_blocks(page.read_text("utf-8"))
        if block.kind not in KINDS
    ]
    assert not unknown, unknown
    for page in PAGES:
        assert "~~~" not in page.read_text("utf-8"), "blocks stand between back quotes"


@pytest.mark.quick
def test_a_json_block_that_answers_no_request_is_valid_json() -> None:
    for page in PAGES:
        for block in find_blocks(page.read_text("utf-8")):
            if block.kind == "json":
                parse_json(block.text)


@pytest.mark.quick
def test_every_command_that_could_be_run_is_run_or_has_a_reason() -> None:
    found = {
        (name_of(page), re.sub(r"\s+#.*", "", command)): f"{name_of(page)}:{line}: {command}"
        for page in PAGES
        for line, command in find_unfenced_commands(page.read_text("utf-8"))
    }
    assert not [place for key, place in found.items() if key not in NOT_RUN]
    assert not set(NOT_RUN) - set(found), "these are no longer there"
