"""Random writes over HTTP and git agree with a model of refs and trees."""

import base64
import json
import tempfile
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.support.clients.git import Git
from tests.support.clients.repo import Org, Repo
from tests.support.servers.server import Server

AUTHOR = {"name": "Ada", "email": "ada@northwind.example"}
BRANCHES = ("main", "dev", "feature/a", "feature/b")
TAGS = ("v1", "v2")
PATHS = ("a", "b", "dir/a", "dir/sub/b")
WRONG = "1" * 40

Tree = dict[str, bytes]

branches = st.sampled_from(BRANCHES)
tags = st.sampled_from(TAGS)
contents = st.binary(min_size=1, max_size=20)


class WriteMachine(RuleBasedStateMachine):
    """The model: the commit of each ref, and the tree and parent of every commit that was made."""

    org: Org
    git: Git

    def __init__(self) -> None:
        super().__init__()
        self.branches: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.trees: dict[str, Tree] = {}
        self.parents: dict[str, str | None] = {}

    @initialize()
    def create(self) -> None:
        self.repo: Repo = self.org.create_repo(f"model/{uuid.uuid4().hex[:10]}")
        self.folder = tempfile.TemporaryDirectory(prefix="model-")
        self.work = self.git.init(Path(self.folder.name) / "work")

    def teardown(self) -> None:
        if hasattr(self, "folder"):
            self.folder.cleanup()

    def _note(self, commit: str, parent: str | None, tree: Tree) -> None:
        self.trees[commit] = tree
        self.parents[commit] = parent

    def _is_ancestor(self, ancestor: str, commit: str | None) -> bool:
        while commit is not None and commit != ancestor:
            commit = self.parents[commit]
        return commit == ancestor

    def _commit(self, branch: str, path: str, content: bytes | None, **fields: Any) -> httpx.Response:
        entry = {"path": path, "content_id": "c", "operation": "delete" if content is None else "upsert"}
        metadata = {
            "target_branch": branch,
            "commit_message": "m",
            "author": AUTHOR,
            "files": [entry],
            **fields,
        }
        lines: list[dict[str, Any]] = [{"metadata": metadata}]
        if content is not None:
            data = base64.b64encode(content).decode()
            lines.append({"blob_chunk": {"content_id": "c", "data": data, "eof": True}})
        body = "".join(json.dumps(line) + "\n" for line in lines)
        return self.repo.api("POST", "/commit-pack", content=body)

    @rule(
        branch=branches,
        path=st.sampled_from(PATHS),
        content=contents,
        guard=st.sampled_from(["", "ok", "bad"]),
    )
    def commit(self, branch: str, path: str, content: bytes, guard: str) -> None:
        tip = self.branches.get(branch)
        fields = {
            "": {},
            "ok": {"expected_target_sha": tip or "0" * 40},
            "bad": {"expected_target_sha": WRONG},
        }[guard]
        reply = self._commit(branch, path, content, **fields)
        if guard == "bad":
            assert reply.status_code == 409, reply.text
        elif tip is None and self.branches:
            assert reply.status_code == 404, reply.text
        else:
            assert reply.status_code == 201, reply.text
            made = reply.json()["commit"]["commit_sha"]
            self._note(made, tip, {**(self.trees[tip] if tip else {}), path: content})
            self.branches[branch] = made

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), path=st.sampled_from(("a", "dir", "dir/sub")))
    def delete_path(self, data: st.DataObject, path: str) -> None:
        branch = data.draw(st.sampled_from(sorted(self.branches)))
        tip = self.branches[branch]
        reply = self._commit(branch, path, None)
        assert reply.status_code == 201, reply.text
        kept = {p: c for p, c in self.trees[tip].items() if p != path and not p.startswith(path + "/")}
        self.branches[branch] = reply.json()["commit"]["commit_sha"]
        self._note(self.branches[branch], tip, kept)

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), aim=branches, force=st.booleans())
    def create_branch(self, data: st.DataObject, aim: str, force: bool) -> None:
        base = data.draw(st.sampled_from(sorted(self.branches)))
        body = {"target_branch": aim, "base_ref": base, "force": force}
        reply = self.repo.api("POST", "/branches/create", json=body)
        present = self.branches.get(aim)
        if present in (None, self.branches[base]) or force:
            assert reply.status_code == 200, reply.text
            self.branches[aim] = self.branches[base]
        else:
            assert reply.status_code == 409, reply.text

    @rule(branch=branches, by_git=st.booleans())
    def delete_branch(self, branch: str, by_git: bool) -> None:
        allowed = branch != "main" and branch in self.branches
        if by_git and branch in self.branches:
            pushed = self.git.try_run(
                "-C", str(self.work), "push", self.repo.remote(), f":refs/heads/{branch}"
            )
            assert (pushed.returncode == 0) == allowed, pushed.stderr
        elif not by_git:
            reply = self.repo.api("DELETE", "/branches", json={"name": branch})
            expected = 200 if allowed else 409 if branch == "main" else 404
            assert reply.status_code == expected, reply.text
        else:
            return
        if allowed:
            del self.branches[branch]

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), tag=tags)
    def create_tag(self, data: st.DataObject, tag: str) -> None:
        base = data.draw(st.sampled_from(sorted(self.branches)))
        reply = self.repo.api("POST", "/tags", json={"name": tag, "ref": base})
        assert reply.status_code == (409 if tag in self.tags else 200), reply.text
        self.tags.setdefault(tag, self.branches[base])

    @rule(tag=tags)
    def delete_tag(self, tag: str) -> None:
        reply = self.repo.api("DELETE", f"/tags/{tag}")
        assert reply.status_code == (200 if tag in self.tags else 404), reply.text
        self.tags.pop(tag, None)

    @precondition(lambda self: self.branches)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        branch = data.draw(st.sampled_from(sorted(self.branches)))
        tip = self.branches[branch]
        source = data.draw(st.sampled_from(sorted({*self.branches.values(), *self.tags.values()})))
        metadata = {"target_branch": branch, "base_ref": source, "author": AUTHOR}
        reply = self.repo.api("POST", "/restore-commit", json={"metadata": metadata})
        assert reply.status_code == 201, reply.text
        self.branches[branch] = reply.json()["commit"]["commit_sha"]
        self._note(self.branches[branch], tip, self.trees[source])

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), aim=branches, force=st.booleans(), content=contents)
    def push(self, data: st.DataObject, aim: str, force: bool, content: bytes) -> None:
        """Commit with git on top of one branch, and push that commit to another."""
        base = self.branches[data.draw(st.sampled_from(sorted(self.branches)))]
        here = ("-C", str(self.work))
        self.git.run(*here, "fetch", "--quiet", self.repo.remote(), base)
        blob = self.git.run(*here, "hash-object", "-w", "--stdin", stdin=content)
        self.git.run(*here, "read-tree", base)
        self.git.run(*here, "update-index", "--add", "--cacheinfo", f"100644,{blob},pushed")
        tree = self.git.run(*here, "write-tree").strip()
        made = self.git.run(*here, "commit-tree", "-p", base, "-m", uuid.uuid4().hex, tree).strip()
        options = ["--force"] if force else []
        pushed = self.git.try_run(*here, "push", *options, self.repo.remote(), f"{made}:refs/heads/{aim}")
        present = self.branches.get(aim)
        accepted = force or present is None or self._is_ancestor(present, base)
        assert (pushed.returncode == 0) == accepted, pushed.stderr
        if accepted:
            self._note(made, base, {**self.trees[base], "pushed": content})
            self.branches[aim] = made

    @invariant()
    def refs_are_the_models(self) -> None:
        if not hasattr(self, "repo"):
            return
        assert self.repo.branches() == self.branches
        listed = self.repo.api("GET", "/tags").json()["tags"]
        assert {tag["name"]: tag["sha"] for tag in listed} == self.tags
        for branch, commit in self.branches.items():
            assert self.repo.list_paths(ref=branch) == sorted(self.trees[commit])
        if "main" in self.branches:
            tree = self.trees[self.branches["main"]]
            for path in list(tree)[:1]:
                assert self.repo.read_file(path) == tree[path]


@pytest.mark.parametrize("server", ["sqlite", "postgres"], indirect=True)
def test_random_writes_agree_with_a_model(server: Server, org: Org, git: Git) -> None:
    class Machine(WriteMachine):
        pass

    Machine.org, Machine.git = org, git
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=6,
            stateful_step_count=18,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
