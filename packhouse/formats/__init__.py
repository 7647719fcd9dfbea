"""File formats and patterns that have no Git in them."""

from packhouse.formats.archives import FORMATS, Member, MemberKind, archive_prefix
from packhouse.formats.globs import PathFilter, compile_globs, parse_extensions
from packhouse.formats.regex_cost import regex_cpu_s, repeats_too_often

__all__ = [
    "FORMATS",
    "Member",
    "MemberKind",
    "PathFilter",
    "archive_prefix",
    "compile_globs",
    "parse_extensions",
    "regex_cpu_s",
    "repeats_too_often",
]
