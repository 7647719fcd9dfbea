"""Objects with exactly the bytes that a test asks for, also bytes that git itself would not write."""

from collections.abc import Iterable
from pathlib import Path

from tests.support.clients.git import Git

GOOD = b"A <a@x.test> 5 +0000"

FORGIVABLE: dict[str, tuple[bytes, bytes]] = {
    "missingSpaceBeforeEmail": (b"author A<a@x.test> 5 +0000", b"m\n"),
    "missingEmail": (b"author A 5 +0000", b"m\n"),
    "missingNameBeforeEmail": (b"author <a@x.test> 5 +0000", b"m\n"),
    "badName": (b"author A> <a@x.test> 5 +0000", b"m\n"),
    "badEmail": (b"author A <a<b@x.test> 5 +0000", b"m\n"),
    "bracket not closed": (b"author A <a@x.test 5 +0000", b"m\n"),
    "zeroPaddedDate": (b"author A <a@x.test> 05 +0000", b"m\n"),
    "badDate": (b"author A <a@x.test> x5 +0000", b"m\n"),
    "before 1970": (b"author A <a@x.test> -86400 +0000", b"m\n"),
    "badDateOverflow": (b"author A <a@x.test> 18446744073709551615000 +0000", b"m\n"),
    "nulInCommit": (b"author A <a@x.test> 5 +0000", b"m\0n\n"),
}
"""Faults of old histories, each with the author line and message of a commit that has it."""

BLOB = b"line\n"


class RawObjects:
    """Writes objects into a test's own repository."""

    def __init__(self, git: Git, work: Path) -> None:
        self.git = git
        self.work = git.init(work)

    def write(self, kind: str, content: bytes) -> str:
        """Store an object and return its id."""
        asked = ("hash-object", "-w", "-t", kind, "--literally", "--stdin")
        return self.git.run(*asked, cwd=self.work, stdin=content)

    def blob(self, content: bytes = BLOB) -> str:
        return self.write("blob", content)

    def tree(self, *rows: tuple[bytes, bytes, str]) -> str:
        """Store a tree of (mode, name, id) in the order given."""
        return self.write("tree", b"".join(b"%s %s\0%s" % (m, n, bytes.fromhex(o)) for m, n, o in rows))

    def commit(
        self,
        tree: str,
        *parents: str,
        author: bytes = b"author " + GOOD,
        committer: bytes = b"committer " + GOOD,
        message: bytes = b"m\n",
    ) -> str:
        """Store a commit with these lines."""
        heads = b"".join(f"parent {parent}\n".encode() for parent in parents)
        return self.write(
            "commit", b"tree %s\n%s%s\n%s\n\n%s" % (tree.encode(), heads, author, committer, message)
        )

    def tag(self, target: str, kind: str = "commit", *, tagger: bytes = b"tagger " + GOOD) -> str:
        """Store an annotated tag."""
        return self.write("tag", f"object {target}\ntype {kind}\ntag t\n".encode() + tagger + b"\n\nm\n")

    def closure(self, tips: Iterable[str]) -> set[str]:
        """Return every object that the tips reach."""
        names = "".join(f"{tip}\n" for tip in tips).encode()
        listed = self.git.run(
            "rev-list", "--objects", "--no-object-names", "--stdin", cwd=self.work, stdin=names
        )
        return set(listed.split())

    def is_clean(self, tip: str, scratch: Path) -> bool:
        """Tell whether git accepts everything that `tip` reaches, except for the faults that are always allowed."""
        bare = scratch / f"oracle-{tip[:12]}"
        if not bare.exists():
            self.git.run("init", "--quiet", "--bare", bare)
        packed = self.git.try_run(
            "pack-objects", "--revs", "--stdout", "-q", cwd=self.work, stdin=f"{tip}\n".encode()
        )
        ignored = "badTimezone=ignore,missingSpaceBeforeDate=ignore,zeroPaddedFilemode=ignore"
        protect = ("-c", "core.protectHFS=true", "-c", "core.protectNTFS=true")
        judged = self.git.try_run(
            *protect, "index-pack", "--stdin", f"--strict={ignored}", cwd=bare, stdin=packed.stdout
        )
        return judged.returncode == 0


def list_stored(git: Git, folder: Path) -> set[str]:
    """Return every object in the packs of a repository on the server."""
    shown = git.run(
        *("-c", f"safe.directory={folder}", "-C", folder),
        *("cat-file", "--batch-all-objects", "--batch-check=%(objectname)"),
    )
    return set(shown.split())


def refused_refs(porcelain: bytes) -> dict[str, str]:
    """Return refname to the reason in brackets of every refused ref of `git push --porcelain`."""
    reasons = {}
    for line in porcelain.decode("utf-8", "replace").splitlines():
        if line.startswith("!"):
            _, names, summary = line.split("\t")
            reasons[names.rpartition(":")[2]] = summary.partition("(")[2].removesuffix(")")
    return reasons
