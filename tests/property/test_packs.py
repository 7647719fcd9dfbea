"""Every pack we write passes `git index-pack --strict` and `git fsck --strict`."""

import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from packhouse.errors import Invalid
from packhouse.git.objects.codec import clean_message, encode_commit, encode_tag, make_person, parse_commit
from packhouse.git.objects.fsck import check_upsert
from packhouse.git.objects.tree_edit import TreeEditor
from packhouse.git.objects.tree_path import check_tree_path
from packhouse.git.oid import Oid, hash_object
from packhouse.git.packs.concat import concatenate_packs
from packhouse.git.packs.idx import PackIdx
from packhouse.git.packs.writer import PackWriter, encode_idx, write_idx
from tests.support.builders.packs import BareRepo
from tests.support.clients.git import Git

pytestmark = pytest.mark.quick

contents = st.binary(max_size=200) | st.integers(0, 3).map(lambda number: b"line\n" * number)
segments = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6) | st.sampled_from(
    ["a", "b", "src", ".gitattributes", ".gitmodules", ".git", "git~1", "a.b", ".GITMODULES", "x\\.git"]
)
files = st.lists(
    st.tuples(
        st.lists(segments, min_size=1, max_size=3).map("/".join),
        st.sampled_from([0o100644, 0o100755, 0o120000, 0o160000]),
        contents,
    ),
    max_size=8,
)
commits = st.lists(
    st.tuples(
        files,
        st.text(max_size=20),
        st.text(max_size=10),
        st.integers(0, 2**32),
        st.sampled_from(["+0000", "-1130", "+0545"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
Changes = list[tuple[str, int, bytes]]


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> BareRepo:
    git = Git(tmp_path_factory.mktemp("home"))
    return BareRepo(git, tmp_path_factory.mktemp("bare"))


class CommitPacker:
    """Writes commits the way the server does: text cleaned, paths checked, trees edited."""

    def __init__(self, writer: PackWriter) -> None:
        self.writer = writer
        self.trees: dict[Oid, bytes] = {}

    def emit(self, content: bytes) -> Oid:
        oid = self.writer.add_object("tree", content)
        self.trees[oid] = content
        return oid

    def commit(
        self,
        changes: Changes,
        message: str,
        name: str,
        when: int,
        zone: str,
        *,
        root: Oid | None,
        parent: Oid | None,
    ) -> tuple[Oid, Oid]:
        editor = TreeEditor(self.trees.__getitem__, root)
        for path, mode, content in changes:
            self._upsert(editor, path, mode, content)
        tree = editor.write(self.emit)
        try:
            person = make_person(name, "a@b", when, zone)
            stored = clean_message(message)
        except Invalid:
            person, stored = make_person("Ada", "a@b", when, zone), b"m\n"
        parents = [] if parent is None else [parent]
        content = encode_commit(tree=tree, parents=parents, author=person, committer=person, message=stored)
        assert parse_commit(content).tree == tree
        tag = encode_tag(
            target=hash_object("commit", content),
            target_kind="commit",
            name="v1",
            tagger=person,
            message=stored,
        )
        self.writer.add_object("tag", tag)
        return tree, self.writer.add_object("commit", content)

    def _upsert(self, editor: TreeEditor, path: str, mode: int, content: bytes) -> None:
        try:
            checked = check_tree_path(path)
            if mode == 0o160000:
                oid = hash_object("commit", content)
                check_upsert(checked, mode, oid)
            else:
                check_upsert(checked, mode)
                oid = self.writer.add_blob_chunks(len(content), [content[:50], content[50:]])
            editor.upsert(checked, mode, oid)
        except Invalid:
            return


@settings(max_examples=60, deadline=None)
@given(history=commits)
def test_git_accepts_every_pack_and_idx_we_write(
    repo: BareRepo, history: list[tuple[Changes, str, str, int, str, bool]]
) -> None:
    repo.clear()
    packs: list[Path] = []
    root: Oid | None = None
    parent: Oid | None = None
    packer: CommitPacker | None = None
    for number, (changes, message, name, when, zone, follows) in enumerate(history):
        if not follows:
            root = parent = None
        temporary = repo.path / f"temporary{number}"
        with temporary.open("x+b") as file:
            packer = renew(packer, PackWriter(lambda: file))
            root, parent = packer.commit(changes, message, name, when, zone, root=root, parent=parent)
            info = packer.writer.finish()
        pack = temporary.rename(repo.pack_dir / f"pack-{info.pack.name}.pack")
        if pack not in packs:
            write_idx(pack.with_suffix(".idx"), info)
            packs.append(pack)
            check_with_index_pack(repo, pack)
    assert repo.refused_by_fsck() == set()
    repo.git.run("fsck", "--strict", "--connectivity-only", cwd=repo.path)
    check_joined(repo, packs)


def renew(packer: CommitPacker | None, writer: PackWriter) -> CommitPacker:
    renewed = CommitPacker(writer)
    if packer is not None:
        renewed.trees.update(packer.trees)
    return renewed


def check_with_index_pack(repo: BareRepo, pack: Path) -> None:
    theirs = repo.path / "theirs.idx"
    theirs.unlink(missing_ok=True)
    name = repo.git.run("index-pack", "--strict", "-o", theirs, pack, cwd=repo.path).splitlines()[-1]
    assert pack.name == f"pack-{name}.pack"
    assert theirs.read_bytes() == pack.with_suffix(".idx").read_bytes()


def check_joined(repo: BareRepo, packs: list[Path]) -> None:
    """The packs joined into one hold the same objects and stand alone."""
    oids: set[Oid] = set()
    for pack in packs:
        with PackIdx(pack.with_suffix(".idx")) as idx:
            oids.update(idx.iter_oids())
    target = repo.path / "joined"
    with target.open("x+b") as file:
        writer = PackWriter(lambda: file)
        concatenate_packs(packs, writer)
        info = writer.finish()
    assert {entry.oid for entry in info.entries} == oids
    repo.clear()
    target.rename(repo.pack_dir / f"pack-{info.pack.name}.pack")
    write_idx(repo.pack_dir / f"pack-{info.pack.name}.idx", info)
    repo.git.run("fsck", "--strict", "--no-dangling", cwd=repo.path)


@given(st.binary(max_size=5000), st.lists(st.integers(0, 5000), max_size=5))
def test_a_blob_inflates_to_what_was_put_in_however_it_came(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(content)) for cut in cuts), len(content)]
    pieces = [content[edges[at] : edges[at + 1]] for at in range(len(edges) - 1)]
    path = tmp_path_factory.getbasetemp() / "blob.pack"
    with path.open("w+b") as file:
        writer = PackWriter(lambda: file)
        oid = writer.add_blob_chunks(len(content), pieces)
        info = writer.finish()
    assert oid == hash_object("blob", content)
    entry = path.read_bytes()[12:-20]
    header = next(at for at, byte in enumerate(entry) if byte < 0x80) + 1
    assert zlib.decompress(entry[header:]) == content
    assert zlib.crc32(entry) == info.entries[0].crc32
    assert len(encode_idx(info.entries, pack_name=info.pack.name)) == 8 + 1024 + 28 + 40
