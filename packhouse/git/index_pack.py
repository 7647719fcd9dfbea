"""How incoming objects are judged: git's own fsck, as strict as old histories allow."""

from typing import Final

STRICT_OPTION: Final = "--strict=badTimezone=ignore,missingSpaceBeforeDate=ignore,zeroPaddedFilemode=ignore"
"""An option of git-index-pack(1): fsck in full, its warnings made errors, less three faults that real
histories of many years hold and that harm nobody. The names are those of git-fsck(1), "Fsck Messages"."""
