"""Packs in memory agree with git: what they hold, what is refused, their idx, and the pack that they are joined to."""

import itertools
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from packhouse import limits
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs import MemoryPack, PackCorrupt, PackInflatesTooMuch, PackWriter, join_packs
from tests.support.builders.raw_packs import (
    BLOB,
    copy,
    delta,
    entry,
    index_pack,
    insert,
    ofs_delta,
    pack_of,
    ref_delta,
    seal,
)
from tests.support.clients.git import Git, GitError

pytestmark = pytest.mark.quick

Contents = dict[Oid, tuple[str, bytes]]

counter = itertools.count()


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Git:
    return Git(tmp_path_factory.mktemp("home"))


@dataclass(frozen=True)
class Repo:
    """A repository with a history, and what git says of its objects."""

    git: Git
    path: Path
    contents: Contents

    def pack(self, wanted: Iterable[Oid], *options: str) -> bytes:
        """Return a pack of these objects."""
        stdin = "".join(f"{oid} name\n" for oid in wanted).encode()
        return self._pack_objects(stdin, *options)

    def pack_completed(self, *, tip: int, known: int, options: tuple[str, ...]) -> bytes:
        """Return the pack that a push of commit `tip` becomes in a repository that has commit `known`."""
        thin = self._pack_objects(b"main~%d\n^main~%d\n" % (tip, known), "--revs", "--thin", *options)
        name = self.git.run("index-pack", "--stdin", "--fix-thin", cwd=self.path, stdin=thin).split()[-1]
        return (self.path / f"objects/pack/pack-{name}.pack").read_bytes()

    def _pack_objects(self, stdin: bytes, *options: str) -> bytes:
        done = self.git.try_run("pack-objects", "--stdout", "-q", *options, cwd=self.path, stdin=stdin)
        assert done.returncode == 0, done.stderr
        return done.stdout


def make_repo(git: Git, folder: Path, seed: int, commits: int) -> Repo:
    """Make a history of files whose versions differ by few lines."""
    chance = random.Random(seed)
    lines = {name: [chance.randbytes(30).hex() for _ in range(chance.choice([0, 3, 60]))] for name in "abc"}
    stream = []
    for number in range(commits):
        message = b"commit %d" % number
        stream.append(b"commit refs/heads/main\ncommitter Ada <a@b> %d +0000\n" % number)
        stream.append(b"data %d\n%s\n" % (len(message), message))
        for name in chance.sample("abc", chance.randint(0, 2)):
            kept = lines[name]
            for _ in range(chance.randint(1, 3)):
                kept.insert(chance.randint(0, len(kept)), chance.randbytes(chance.choice([0, 4, 40])).hex())
            if chance.random() < 0.3:
                del kept[: chance.randint(1, len(kept))]
            content = "\n".join(kept).encode()
            path = chance.choice([name, f"folder/{name}"]).encode()
            stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path, len(content), content))
    git.run("init", "--quiet", "--bare", folder)
    git.run("fast-import", "--quiet", cwd=folder, stdin=b"".join(stream))
    return Repo(git, folder, read_all(git, folder))


def read_all(git: Git, folder: Path) -> Contents:
    """Return every object of a repository, in the words of git."""
    output = git.try_run("cat-file", "--batch", "--batch-all-objects", cwd=folder).stdout
    contents: Contents = {}
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        oid, kind, size = output[at:end].decode().split()
        at = end + 1 + int(size) + 1
        contents[Oid(oid)] = kind, output[end + 1 : at - 1]
    return contents


def write_whole(folder: Path, contents: Contents, wanted: Iterable[Oid]) -> MemoryPack:
    """Write these objects with our writer."""
    path = folder / "ours.pack"
    with path.open("w+b") as file:
        writer = PackWriter(lambda: file)
        for oid in wanted:
            assert writer.add_object(*contents[oid]) == oid
        info = writer.finish()
    return MemoryPack.of(info.pack.name, path.read_bytes(), info.entries)


def parse(data: bytes) -> MemoryPack:
    return MemoryPack.parse("name", data, inflated_max_bytes=16 * limits.MIB)


def check_as_git_sees_it(git: Git, pack: MemoryPack, contents: Contents, folder: Path) -> None:
    """The pack holds what `git show-index` and `git cat-file` say, and its idx is git's."""
    _, idx = index_pack(git, pack.data, folder)
    assert pack.idx() == idx
    shown = git.try_run("show-index", "--object-format=sha1", stdin=idx).stdout.decode().splitlines()
    assert list(pack.iter_oids()) == [
        line.split()[1] for line in sorted(shown, key=lambda line: int(line.split()[0]))
    ]
    assert len(pack) == len(shown)
    for oid in pack.iter_oids():
        kind, content = contents[oid]
        assert oid in pack
        assert pack.read(oid) == (kind, content)
        assert pack.kind_and_size(oid) == (kind, len(content))


def check_joined(git: Git, packs: list[MemoryPack], contents: Contents, folder: Path, *, repo: Path) -> None:
    """Git accepts the joined pack strictly, and it holds exactly the union."""
    path = folder / "joined.pack"
    with path.open("w+b") as file:
        writer = PackWriter(lambda: file)
        join_packs(packs, writer)
        info = writer.finish()
    data = path.read_bytes()
    git.run("index-pack", "--strict", "-o", folder / "joined.idx", path, cwd=repo)
    assert (folder / "joined.idx").read_bytes() == MemoryPack.of(info.pack.name, data, info.entries).idx()
    (folder / "joined.idx").unlink()
    joined = parse(data)
    assert joined.pack.size_bytes == info.pack.size_bytes
    assert set(joined.iter_oids()) == {oid for pack in packs for oid in pack.iter_oids()}
    check_as_git_sees_it(git, joined, contents, folder)


parts = st.lists(
    st.tuples(
        st.sampled_from(["git", "completed", "ours"]),
        st.sampled_from([(), ("--delta-base-offset",)]),
        st.integers(0, 2**32),
    ),
    max_size=4,
)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), commits=st.integers(2, 12), parts=parts)
def test_packs_of_a_random_history(
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    seed: int,
    commits: int,
    parts: list[tuple[str, tuple[str, ...], int]],
) -> None:
    folder = tmp_path_factory.getbasetemp() / f"history{next(counter)}"
    folder.mkdir()
    repo = make_repo(git, folder / "repo", seed, commits)
    packs = []
    for maker, options, number in parts:
        chance = random.Random(number)
        wanted = chance.sample(list(repo.contents), chance.randint(0, len(repo.contents)))
        if maker == "ours":
            packs.append(write_whole(folder, repo.contents, wanted))
        elif maker == "git":
            packs.append(parse(repo.pack(wanted, *options, "--no-reuse-delta")))
        else:
            tip = chance.randrange(commits - 1)
            packs.append(
                parse(repo.pack_completed(tip=tip, known=chance.randrange(tip + 1, commits), options=options))
            )
    for pack in packs:
        check_as_git_sees_it(git, pack, repo.contents, folder)
    check_joined(git, packs, repo.contents, folder, repo=repo.path)


BLOBS = [b"start" * 50 + b"%d" % number * number for number in range(6)]

graphs = st.lists(
    st.permutations(range(len(BLOBS))).flatmap(
        lambda order: st.tuples(
            st.just(order[: len(order)]),
            st.integers(0, len(BLOBS)),
            st.lists(st.integers(0, len(BLOBS) - 1), min_size=len(BLOBS), max_size=len(BLOBS)),
            st.permutations(range(len(BLOBS))),
            st.booleans(),
        )
    ),
    max_size=4,
)


def change(base: bytes, result: bytes) -> bytes:
    """Return a delta that copies what both begin with, and inserts the rest."""
    same = next(
        (at for at, (one, two) in enumerate(zip(base, result, strict=False)) if one != two),
        min(len(base), len(result)),
    )
    return delta(
        len(base), copy(0, same), *([insert(result[same:])] if result[same:] else []), result_size=len(result)
    )


def pack_graph(
    order: list[int], size: int, bases: list[int], ranks: list[int], by_distance: bool
) -> MemoryPack:
    """Return a pack of the first `size` blobs in `order`.

    Each is a delta against the blob that `bases` names, if that is in the pack and of lower rank: so there are no
    cycles within a pack, and bases stand before and behind their deltas.
    """
    held = order[:size]
    entries: list[bytes] = []
    for at, number in enumerate(held):
        base = bases[number]
        if base not in held or ranks[base] >= ranks[number]:
            entries.append(entry(BLOB, BLOBS[number]))
        elif by_distance and base in held[:at]:
            distance = sum(map(len, entries[held.index(base) :]))
            entries.append(ofs_delta(distance, change(BLOBS[base], BLOBS[number])))
        else:
            entries.append(ref_delta(hash_object("blob", BLOBS[base]), change(BLOBS[base], BLOBS[number])))
    return parse(pack_of(entries))


@settings(max_examples=100, deadline=None)
@given(graphs=graphs)
def test_packs_with_crossed_deltas(
    tmp_path_factory: pytest.TempPathFactory,
    git: Git,
    graphs: list[tuple[list[int], int, list[int], list[int], bool]],
) -> None:
    folder = tmp_path_factory.getbasetemp() / "graphs"
    folder.mkdir(exist_ok=True)
    contents = {hash_object("blob", blob): ("blob", blob) for blob in BLOBS}
    packs = [pack_graph(*graph) for graph in graphs]
    for pack in packs:
        check_as_git_sees_it(git, pack, contents, folder)
    check_joined(git, packs, contents, folder, repo=folder)


SMALL = [
    entry(BLOB, BLOBS[0]),
    ref_delta(hash_object("blob", BLOBS[0]), change(BLOBS[0], BLOBS[1])),
    entry(BLOB, BLOBS[2], level=0),
]
WELL_FORMED = pack_of([*SMALL, ofs_delta(len(SMALL[2]), change(BLOBS[2], BLOBS[3]))])
places = st.integers(0, len(WELL_FORMED) - 21)


@settings(max_examples=150, deadline=None)
@given(flips=st.lists(st.tuples(places, st.integers(0, 7)), max_size=2), cut=st.none() | places)
def test_a_damaged_pack_is_refused_exactly_when_git_refuses_it(
    tmp_path_factory: pytest.TempPathFactory, git: Git, flips: list[tuple[int, int]], cut: int | None
) -> None:
    """The trailer fits, so that the damage is seen at all. Git also takes version 3, which nothing writes."""
    body = bytearray(WELL_FORMED[:-20])
    for at, bit in flips:
        body[at] ^= 1 << bit
    data = seal(bytes(body[:cut]))
    assume(data[7] != 3)
    folder = tmp_path_factory.getbasetemp() / "damaged"
    try:
        _, idx = index_pack(git, data, folder)
    except GitError:
        with pytest.raises((PackCorrupt, PackInflatesTooMuch)):
            parse(data)
    else:
        assert parse(data).idx() == idx
