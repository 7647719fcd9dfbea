"""Pages of examples are read as their authors mean them, and an ellipsis hides only the text in its place."""

import pytest

from tests.support.examples import (
    difference,
    find_examples,
    find_unfenced_commands,
    masked_like,
    parse_answer,
    parse_json,
    parse_request,
    print_json,
    text_matches,
)

pytestmark = pytest.mark.quick

PAGE = """\
# Page

```http
POST /api/repos
Authorization: Bearer <token for apps/blog>

{"a": 1}
```

```http
HTTP/1.1 201 Created
X-Name: one

{"b": …}
```

1. Listed:

   ```sh
   packhouse org list
   ```

Text between.

```json
{"c": 1}
```

    packhouse org create NAME
    packhouse org list

    $ packhouse version

```sql
    make nothing
```
"""


def test_an_example_has_the_answer_that_stands_directly_behind_it() -> None:
    first, second = find_examples(PAGE)
    request, answer = parse_request(first.block.text), parse_answer(first.answer)
    assert (request.method, request.target, request.body) == ("POST", "/api/repos", '{"a": 1}')
    assert request.headers == {"Authorization": "Bearer <token for apps/blog>"}
    assert (answer.status, answer.headers, answer.is_json) == (201, {"X-Name": "one"}, True)
    assert (second.block.text, second.answer) == ("packhouse org list\n", None)


def test_a_problem_tells_its_status() -> None:
    page = '```http\nGET /x\n```\n\n```json\n{"title": "Not Found", "status": 404}\n```\n'
    assert parse_answer(find_examples(page)[0].answer).status == 404


def test_a_command_outside_a_fence_is_found_unless_its_block_is_a_form() -> None:
    assert [command for _, command in find_unfenced_commands(PAGE)] == ["$ packhouse version"]


@pytest.mark.parametrize(
    ("printed", "actual"),
    [
        ('{"a": "repo_…"}', {"a": "repo_x"}),
        ('{"a": …}', {"a": {"b": [1]}}),
        ('{"a": 1, …}', {"a": 1, "b": 2}),
        ("[1, …]", [1, 2, 3]),
        ("[…]", []),
    ],
)
def test_an_ellipsis_matches_any_text_in_its_place(printed: str, actual: object) -> None:
    parsed = parse_json(printed)
    assert difference(parsed, actual) is None
    assert parse_json(print_json(masked_like(parsed, actual))) == parsed


@pytest.mark.parametrize(
    ("printed", "actual"),
    [
        ('{"a": "repo_…"}', {"a": "org_x"}),
        ('{"a": "…"}', {"a": 1}),
        ('{"a": …}', {}),
        ('{"a": …}', {"a": 1, "b": 2}),
        ('{"a": 1, …}', {"b": 2}),
        ("[1]", [1, 2]),
        ("[1, 2, …]", [1]),
        ("1", True),
        ("0", False),
    ],
)
def test_text_outside_an_ellipsis_is_compared(printed: str, actual: object) -> None:
    assert difference(parse_json(printed), actual) is not None


def test_in_text_an_ellipsis_stays_within_its_line_unless_it_stands_alone() -> None:
    assert text_matches("id …\nend\n", "id 12\nend\n")
    assert not text_matches("id …\n", "id 12\nend\n")
    assert text_matches("first\n…\nlast", "first\na\nb\nlast\n")
    assert not text_matches("a.c", "abc")


def test_columns_may_be_wider_or_narrower_and_stay_columns() -> None:
    assert text_matches("ID   NAME\n…    shop\n", "ID        NAME\nrepo_123  shop\n")
    assert not text_matches("ID  NAME", "ID NAME")


def test_spaces_at_the_end_of_a_line_do_not_count() -> None:
    assert text_matches("remote: done\n\nend", "remote: done        \n\nend\n")
