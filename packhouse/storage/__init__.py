"""Where packs and other files are kept: the interface of a store, and the stores."""

from packhouse.storage.data_folder import (
    forget_owner,
    is_data_folder,
    iter_settled_repo_ids,
    read_owner,
    write_owner,
)
from packhouse.storage.disk.store import DiskPackStore
from packhouse.storage.file_cache import FileCache
from packhouse.storage.files import UNWRITABLE, link_or_copy
from packhouse.storage.journal_folders import ShownPacks
from packhouse.storage.new_pack import NewPack
from packhouse.storage.pack_file import describe_pack
from packhouse.storage.quarantine import Quarantine
from packhouse.storage.spill_file import SpillFile
from packhouse.storage.store import Mended, OpenedPacks, PackFault, PackSet, PackStore

__all__ = [
    "UNWRITABLE",
    "DiskPackStore",
    "FileCache",
    "Mended",
    "NewPack",
    "OpenedPacks",
    "PackFault",
    "PackSet",
    "PackStore",
    "Quarantine",
    "ShownPacks",
    "SpillFile",
    "describe_pack",
    "forget_owner",
    "is_data_folder",
    "iter_settled_repo_ids",
    "link_or_copy",
    "read_owner",
    "write_owner",
]
