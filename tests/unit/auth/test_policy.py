"""Ref policies: how the claims read, and what they refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.auth.policy import PolicyDenied, PolicyUnusable, RefChange, RefPolicy
from packhouse.errors import Denied
from packhouse.git.oid import Oid
from packhouse.git.refname import EPHEMERAL, PERSISTENT, RefName

pytestmark = pytest.mark.quick

ONE, TWO = Oid("1" * 40), Oid("2" * 40)


def ops(policy: RefPolicy, refname: str, namespace: str = PERSISTENT) -> set[str]:
    return set(policy.ops_for(namespace, RefName(refname.encode())))


def allows(refs: object, refname: str, change: RefChange, namespace: str = PERSISTENT) -> bool:
    try:
        RefPolicy.parse({"refs": refs}).decide(namespace, RefName(refname.encode()), change)
    except PolicyDenied:
        return False
    return True


def test_no_claims_allow_everything() -> None:
    policy = RefPolicy.parse({})
    for change in RefChange:
        policy.decide(PERSISTENT, RefName(b"refs/heads/main"), change)
    assert RefPolicy.parse({"refs": [], "ops": []}).ops_for("", RefName(b"refs/heads/x")) == set()


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("*", ["refs/heads/a", "refs/tags/v1", "refs/notes/commits"], []),
        (
            "main",
            ["refs/heads/main"],
            ["refs/heads/Main", "refs/heads/main2", "refs/tags/main", "refs/heads/main/x"],
        ),
        (
            "agents/*",
            ["refs/heads/agents/1", "refs/heads/agents/a/b"],
            ["refs/heads/agents", "refs/tags/agents/1"],
        ),
        ("refs/tags/*", ["refs/tags/v1", "refs/tags/a/b"], ["refs/heads/refs/tags/x", "refs/tagsx/v1"]),
        ("refs/*", ["refs/heads/a", "refs/notes/commits"], []),
        ("refs/heads/feature/*", ["refs/heads/feature/a/b"], ["refs/heads/feature", "refs/heads/features/a"]),
        ("HEAD", [], ["refs/heads/HEAD", "refs/heads/main"]),
        ("head", ["refs/heads/head"], ["refs/heads/HEAD"]),
        ("heads/main", ["refs/heads/heads/main"], ["refs/heads/main"]),
        ("héllo", ["refs/heads/héllo"], ["refs/heads/hello"]),
    ],
)
def test_a_pattern_matches_whole_names_by_its_rules(
    pattern: str, matching: list[str], other: list[str]
) -> None:
    policy = RefPolicy.parse({"refs": [[pattern, ["no-push"]]]})
    assert not policy.invalid
    assert [name for name in matching + other if ops(policy, name)] == matching


def test_the_first_match_decides_and_later_entries_are_not_consulted() -> None:
    policy = RefPolicy.parse({"refs": [["agents/*", []], ["agents/x", ["no-push"]], ["*", ["no-push"]]]})
    assert ops(policy, "refs/heads/agents/x") == set()
    assert ops(policy, "refs/heads/main") == {"no-push"}


def test_ephemeral_refs_match_by_the_name_of_the_client_and_by_the_stored_one() -> None:
    seen = RefPolicy.parse({"refs": [["main", ["no-push"]]]})
    assert ops(seen, "refs/heads/main", EPHEMERAL) == {"no-push"}
    stored = RefPolicy.parse({"refs": [["refs/namespaces/ephemeral/refs/heads/*", ["no-push"]]]})
    assert ops(stored, "refs/heads/main", EPHEMERAL) == {"no-push"}
    assert ops(stored, "refs/heads/main", PERSISTENT) == set()


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"ops": ["no-push"]}, {"no-push"}),
        ({"ops": ["no-push"], "refs": []}, {"no-push"}),
        ({"ops": ["no-push"], "refs": [["*", ["no-force-push"]]]}, {"no-push", "no-force-push"}),
        ({"ops": ["no-push"], "refs": [["*", []], ["main", []]]}, {"no-push"}),
        ({"ops": ["no-push"], "refs": [["main", []]]}, set()),
        ({"ops": [], "refs": [["main", ["no-push"]]]}, {"no-push"}),
    ],
)
def test_legacy_ops_join_the_entry_for_all_refs_or_come_last(
    claims: dict[str, object], expected: set[str]
) -> None:
    assert ops(RefPolicy.parse(claims), "refs/heads/main") == expected


def test_legacy_ops_hold_for_refs_without_an_entry() -> None:
    policy = RefPolicy.parse({"ops": ["no-push"], "refs": [["main", []]]})
    assert ops(policy, "refs/heads/other") == {"no-push"}


@pytest.mark.parametrize(
    "claims",
    [
        {"refs": None},
        {"refs": "main"},
        {"refs": {"main": ["no-push"]}},
        {"refs": [None]},
        {"refs": ["main"]},
        {"refs": [[]]},
        {"refs": [["main"]]},
        {"refs": [["main", ["no-push"], 1]]},
        {"refs": [[1, ["no-push"]]]},
        {"refs": [["main", "no-push"]]},
        {"refs": [["main", None]]},
        {"refs": [["main", ["no-push", 1]]]},
        {"refs": [["main", []], ["broken"]]},
        {"refs": [["ma*n", []]]},
        {"refs": [["main*", []]]},
        {"refs": [["*main", []]]},
        {"refs": [["*/main", []]]},
        {"refs": [["a/*/b", []]]},
        {"refs": [["a/**", []]]},
        {"refs": [["**", []]]},
        {"refs": [["/*", []]]},
        {"refs": [["", []]]},
        {"refs": [["refs/", []]]},
        {"refs": [["refs/heads/", []]]},
        {"refs": [["a..b", []]]},
        {"refs": [["a b", []]]},
        {"refs": [["\ud800", []]]},
        {"refs": [["x" * 2000, []]]},
        {"ops": None},
        {"ops": "no-push"},
        {"ops": [1]},
        {"refs": [], "ops": {}},
    ],
)
def test_a_malformed_claim_makes_the_token_unusable_for_writes(claims: dict[str, object]) -> None:
    policy = RefPolicy.parse(claims)
    assert policy.invalid
    with pytest.raises(PolicyUnusable) as refusal:
        policy.decide(PERSISTENT, RefName(b"refs/heads/elsewhere"), RefChange.CREATE)
    assert isinstance(refusal.value, Denied)
    with pytest.raises(PolicyUnusable):
        policy.require_usable()


@pytest.mark.parametrize("change", list(RefChange))
def test_no_push_refuses_every_change(change: RefChange) -> None:
    assert not allows([["main", ["no-push"]]], "refs/heads/main", change)
    assert allows([["main", ["no-push"]]], "refs/heads/other", change)


def test_no_force_push_refuses_rewriting_and_deletion_only() -> None:
    allowed = {
        change for change in RefChange if allows([["*", ["no-force-push"]]], "refs/heads/main", change)
    }
    assert allowed == {RefChange.CREATE, RefChange.FAST_FORWARD}


@pytest.mark.parametrize("change", list(RefChange))
@pytest.mark.parametrize("op", ["no-delete", "NO-PUSH", "", "no-push ", "ok refs/heads/x\n"])
def test_an_unknown_op_refuses_every_change(op: str, change: RefChange) -> None:
    assert not allows([["main", [op]]], "refs/heads/main", change)
    assert not allows([["main", ["no-force-push", op]]], "refs/heads/main", change)


def test_verify_sig_refuses_a_change_whose_signatures_are_not_verified() -> None:
    policy = RefPolicy.parse({"refs": [["main", ["verify-sig"]]]})
    main = RefName(b"refs/heads/main")
    for change in (RefChange.CREATE, RefChange.FAST_FORWARD, RefChange.FORCED):
        with pytest.raises(PolicyDenied) as refusal:
            policy.decide(PERSISTENT, main, change)
        assert refusal.value.op == "verify-sig"
        with pytest.raises(PolicyDenied):
            policy.decide(PERSISTENT, main, change, signatures_verify=lambda: False)
        policy.decide(PERSISTENT, main, change, signatures_verify=lambda: True)
    policy.decide(PERSISTENT, main, RefChange.DELETE)


def test_signatures_are_not_checked_for_refs_without_the_rule() -> None:
    def check() -> bool:
        raise AssertionError("not to be called")

    policy = RefPolicy.parse({"refs": [["main", ["no-force-push"]]]})
    policy.decide(PERSISTENT, RefName(b"refs/heads/main"), RefChange.CREATE, signatures_verify=check)


def test_a_refusal_names_ref_and_op_and_starts_with_the_words_that_clients_look_for() -> None:
    with pytest.raises(PolicyDenied) as refusal:
        RefPolicy.parse({"ops": ["no-push"]}).decide("", RefName(b"refs/heads/main"), RefChange.CREATE)
    assert refusal.value.fields == {"refname": "refs/heads/main", "op": "no-push"}
    assert str(refusal.value).startswith("denied by policy")


@given(st.text(min_size=1))
def test_an_op_cannot_break_a_protocol_line(op: str) -> None:
    policy = RefPolicy.parse({"ops": [op]})
    with pytest.raises(PolicyDenied) as refusal:
        policy.decide("", RefName(b"refs/heads/main"), RefChange.FORCED)
    assert refusal.value.op.isascii()
    assert refusal.value.op.isprintable()
    assert len(refusal.value.op) <= 64


ANYTHING = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=12)


@given(st.dictionaries(st.sampled_from(["refs", "ops"]), ANYTHING))
def test_no_claim_causes_a_crash(claims: dict[str, object]) -> None:
    policy = RefPolicy.parse(claims)
    assert policy.invalid or policy.ops_for(EPHEMERAL, RefName(b"refs/heads/main")) is not None


@pytest.mark.parametrize(
    ("old", "new", "is_forward", "refused"),
    [
        (None, ONE, False, False),
        (ONE, TWO, True, False),
        (ONE, TWO, False, True),
        (ONE, None, True, True),
    ],
)
def test_only_deletion_and_a_move_that_is_not_forward_count_as_forced(
    old: Oid | None, new: Oid | None, is_forward: bool, refused: bool
) -> None:
    policy = RefPolicy.parse({"refs": [["main", ["no-force-push"]]]})
    asked: list[bool] = []

    def is_fast_forward() -> bool:
        asked.append(True)
        return is_forward

    def check(refname: bytes) -> None:
        policy.check_update(
            PERSISTENT, RefName(refname), old_oid=old, new_oid=new, is_fast_forward=is_fast_forward
        )

    check(b"refs/heads/other")
    assert not asked, "no rule depends on it"
    if refused:
        with pytest.raises(PolicyDenied):
            check(b"refs/heads/main")
    else:
        check(b"refs/heads/main")
    assert len(asked) == (old is not None and new is not None)


def test_signatures_are_checked_only_for_a_new_value_under_their_rule() -> None:
    policy = RefPolicy.parse({"refs": [["main", ["verify-sig"]]]})

    def check(new: Oid | None, *, signed: bool) -> None:
        policy.check_update(
            PERSISTENT,
            RefName(b"refs/heads/main"),
            old_oid=ONE,
            new_oid=new,
            is_fast_forward=lambda: False,
            signatures_verify=lambda: signed,
        )

    check(TWO, signed=True)
    check(None, signed=False)
    with pytest.raises(PolicyDenied):
        check(TWO, signed=False)
