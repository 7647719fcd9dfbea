"""Settings: one frozen dataclass, made at start from flags and `PACKHOUSE_…` variables.

Nothing else reads the environment. Each field has a flag `--like-this` and a variable `PACKHOUSE_LIKE_THIS`.
docs/reference/settings.md lists them, and a test compares.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from packhouse import limits
from packhouse.config_errors import (
    CountOutOfRange,
    DatabaseSettingInvalid,
    FaultNeverAllowed,
    FaultUnknown,
    ListenInvalid,
    LogLevelUnknown,
    PublicUrlInvalid,
    RuntimeDirNotAFolder,
    SettingEmpty,
    SettingNotANumber,
    SettingOutOfRange,
    SettingUnknown,
    SwitchInvalid,
    TimeoutTooShort,
    TlsFilesIncomplete,
    TrustedHostsInvalid,
    UpstreamUrlsInvalid,
)
from packhouse.fault_names import IMPORT_ALLOWED, MAY_BE_ALLOWED, NEVER_ALLOWED

ENV_PREFIX = "PACKHOUSE_"
INTEGER_MAX = 2**53
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#@]+(?:/[^\s?#@]*)?")
_TRUSTED_HOST = re.compile(r"(https?)://([a-z0-9._-]+|\[[0-9a-f:.]+\]):([0-9]{1,5})")

# Variables that Kubernetes sets in each container for a Service named `packhouse`, or for example `packhouse-web`
# (kubernetes.io, "Service", "Environment variables"; Docker's legacy links have the same names).
_SERVICE_LINK = re.compile(
    f"{ENV_PREFIX}(?:PORT(?:_.*)?|SERVICE_.*|.+_SERVICE_HOST|.+_SERVICE_PORT(?:_.+)?"
    "|.+_PORT_[0-9]+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)
_LINK_PORT = re.compile(f"{ENV_PREFIX}.+_PORT")
_LINK_ADDRESS = re.compile(r"(?:tcp|udp|sctp)://\S+:[0-9]+")

_SWITCH = {"0": False, "1": True, "False": False, "True": True}

TrustedHost = tuple[str, str, int]
"""Scheme, host (without brackets) and port."""

LOG_LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of an operator. Units are part of the names. Defaults suit one machine."""

    data: Path = field(default=Path("data"), metadata={"help": "folder of the database, packs and caches"})
    database: str = field(
        default="", metadata={"help": "postgresql://… address; empty: SQLite in the data folder"}
    )
    listen: str = field(default="127.0.0.1:8080", metadata={"help": "address and port to serve on"})
    workers: int = field(default=1, metadata={"help": "server processes"})
    threads: int = field(default=8, metadata={"help": "worker threads of each server process"})
    tls_cert: Path | None = field(default=None, metadata={"help": "PEM file with the certificate chain"})
    tls_key: Path | None = field(
        default=None, metadata={"help": "PEM file with the certificate's private key"}
    )
    static_tokens: Path | None = field(
        default=None,
        metadata={"help": "file with fixed read tokens for archive downloads, TOKEN ORG REPO a line"},
    )
    public_url: str = field(
        default="",
        metadata={"help": "address clients use, for http_url; empty: taken from each request's Host"},
    )
    shutdown_grace_s: int = field(
        default=30, metadata={"help": "how long running requests may finish after SIGTERM", "unit": "seconds"}
    )
    header_timeout_s: int = field(
        default=30,
        metadata={"help": "how long a client may take to send a request's headers", "unit": "seconds"},
    )
    stall_timeout_s: int = field(
        default=limits.body_stall_max_s,
        metadata={"help": "how long a client may send nothing within a body", "unit": "seconds"},
    )
    runtime_dir: Path | None = field(
        default=None,
        metadata={
            "help": "where reads put files while the disk takes none; default memory (/dev/shm, /run), else DATA/cache"
        },
    )
    push_max_bytes: int = field(
        default=10 * limits.GIB, metadata={"help": "largest pack that a push may send", "unit": "bytes"}
    )
    import_allowed_faults: str = field(
        default=",".join(IMPORT_ALLOWED),
        metadata={
            "help": "faults of old histories that imports and upstreams may bring, as git-fsck names them"
        },
    )
    commit_max_bytes: int = field(
        default=10 * limits.GIB, metadata={"help": "largest commit-pack body", "unit": "bytes"}
    )
    blob_max_bytes: int = field(
        default=4 * limits.GIB, metadata={"help": "largest single file in a REST commit", "unit": "bytes"}
    )
    journal_max_bytes: int = field(
        default=limits.GIB,
        metadata={
            "help": "size of all small packs that wait in the database; larger writes store packs; 0: all do",
            "unit": "bytes",
        },
    )
    last_commit_cache_max_bytes: int = field(
        default=limits.GIB,
        metadata={"help": "size of the cache of each path's last commit under DATA/cache", "unit": "bytes"},
    )
    git_processes_max: int = field(
        default=32, metadata={"help": "git processes that one server process runs at once"}
    )
    secret_key_file: Path | None = field(
        default=None,
        metadata={
            "help": "keys that seal stored secrets; made when missing; default secret-key in the data folder"
        },
    )
    trusted_hosts: str = field(
        default="",
        metadata={
            "help": "scheme://host:port,… to which outbound requests may go although private or plain http"
        },
    )
    outbound_ca: Path | None = field(
        default=None,
        metadata={"help": "PEM file of authorities that outbound TLS believes besides the system's"},
    )
    upstream_urls: str = field(
        default="",
        metadata={"help": "provider=https://host/path,… for providers of upstreams that are elsewhere"},
    )
    github_token_file: Path | None = field(
        default=None, metadata={"help": "file with the token for github upstreams; default none"}
    )
    job_threads: int = field(
        default=4, metadata={"help": "background jobs that one server process runs at once"}
    )
    job_lease_s: int = field(
        default=30,
        metadata={
            "help": "how long the work of a process that was killed waits for another",
            "unit": "seconds",
        },
    )
    webhook_threads: int = field(
        default=64, metadata={"help": "webhook deliveries that one server process makes at once"}
    )
    event_keep_s: int = field(
        default=7 * 24 * 3600,
        metadata={"help": "how long events and ended deliveries are kept", "unit": "seconds"},
    )
    ephemeral_events: int = field(default=0, metadata={"help": "1: raise push events for ephemeral refs too"})
    custom_notes_refs: int = field(
        default=1, metadata={"help": "0: let the API write notes to refs/notes/commits only"}
    )
    accept_empty_database: bool = field(
        default=False,
        metadata={"help": "start although the database knows none of the repositories in the data folder"},
    )
    log_level: str = field(default="info", metadata={"help": "debug, info, warning or error"})

    @property
    def database_url(self) -> str:
        """The database to open: the setting, or the SQLite file in the data folder."""
        return self.database or f"sqlite:///{self.data / 'packhouse.db'}"

    @property
    def secret_keys_path(self) -> Path:
        """The file of the keys that seal stored secrets."""
        return self.secret_key_file or self.data / "secret-key"

    @property
    def upstream_url_map(self) -> dict[str, str]:
        """The addresses of providers at another address, without a slash at the end."""
        return parse_upstream_urls(self.upstream_urls)

    @property
    def import_allowed_fault_names(self) -> tuple[str, ...]:
        """The faults of old histories that the import remote and upstreams may bring."""
        return parse_allowed_faults(self.import_allowed_faults)

    @property
    def trusted_host_set(self) -> frozenset[TrustedHost]:
        """The hosts that outbound requests may reach even if private or plain http."""
        return parse_trusted_hosts(self.trusted_hosts)


def parse_upstream_urls(text: str) -> dict[str, str]:
    """Return provider to base address of a comma-separated list. Raises Invalid with the malformed entry."""
    urls = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        provider, _, url = entry.partition("=")
        if not provider or not _WEB_ADDRESS.fullmatch(url):
            raise UpstreamUrlsInvalid(_without_login(entry[:200]))
        urls[provider] = url.rstrip("/")
    return urls


def parse_trusted_hosts(text: str) -> frozenset[TrustedHost]:
    """Return the hosts of a comma-separated list. Raises Invalid with the malformed entry."""
    hosts = set()
    for entry in filter(None, (part.strip().lower().rstrip("/") for part in text.split(","))):
        match = _TRUSTED_HOST.fullmatch(entry)
        if match is None or not 1 <= int(match[3]) <= 65535:
            raise TrustedHostsInvalid(_without_login(entry[:200]))
        hosts.add((match[1], match[2].strip("[]").removesuffix("."), int(match[3])))
    return frozenset(hosts)


def _without_login(text: str) -> str:
    """Return an address without user name and password, which stand before the last `@` of its host."""
    return re.sub(r"//[^/\s]*@", "//\N{HORIZONTAL ELLIPSIS}@", text)


def parse_allowed_faults(text: str) -> tuple[str, ...]:
    """Return the names of a comma-separated list. Raises Invalid for a name that is unknown or never allowed."""
    known = {name.lower(): name for name in (*MAY_BE_ALLOWED, *NEVER_ALLOWED)}
    names = []
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name = known.get(entry.lower())
        if name is None:
            raise FaultUnknown(entry[:200])
        if name in NEVER_ALLOWED:
            raise FaultNeverAllowed(name)
        names.append(name)
    return tuple(dict.fromkeys(names))


def load_config(flags: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Return the settings. A flag wins over its variable, and the variable over the default.

    Raises Invalid on an unknown `PACKHOUSE_…` variable, except for service links, and on a value that does not fit its
    field.
    """
    known = {f"{ENV_PREFIX}{f.name.upper()}": f for f in fields(Config)}
    for name, text in environ.items():
        if name.startswith(ENV_PREFIX) and name not in known and not _is_service_link(name, text):
            raise SettingUnknown(name)
    values: dict[str, object] = {}
    for variable, setting in known.items():
        given = flags.get(setting.name)
        if given is None:
            given = environ.get(variable)
        if given is None and isinstance(setting.default, Path):
            given = setting.default  # make it absolute like any other: git processes run in other folders
        if given is not None:
            values[setting.name] = _convert(setting.name, str(setting.type), given)
    config = Config(**values)  # type: ignore[arg-type]  # converted one by one above
    _check(config)
    return config


def find_service_links(environ: Mapping[str, str]) -> list[str]:
    """Return the sorted names of variables that look like settings and that Kubernetes has set.

    They tell where a Service is whose name begins with ours. They change nothing here.
    """
    known = {f"{ENV_PREFIX}{f.name.upper()}" for f in fields(Config)}
    return sorted(
        name for name, text in environ.items() if name not in known and _is_service_link(name, text)
    )


def _is_service_link(name: str, text: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    # A name such as PACKHOUSE_LISTEN_PORT may also be a typing error. The value decides.
    return bool(_LINK_PORT.fullmatch(name) and _LINK_ADDRESS.fullmatch(text))


def _convert(name: str, type_name: str, value: object) -> object:
    text = str(value)
    if "Path" in type_name:
        if not text and "None" not in type_name:
            raise SettingEmpty(name)
        return Path(text).absolute() if text else None
    if "bool" in type_name:
        if text not in _SWITCH:
            raise SwitchInvalid(setting=name, value=text)
        return _SWITCH[text]
    if type_name == "<class 'int'>" or type_name == "int":
        try:
            return int(text)
        except ValueError:
            raise SettingNotANumber(setting=name, value=text) from None
    return text


def _check(config: Config) -> None:
    if (config.tls_cert is None) != (config.tls_key is None):
        raise TlsFilesIncomplete()
    for name in ("workers", "threads", "git_processes_max", "job_threads", "webhook_threads", "job_lease_s"):
        if not 1 <= getattr(config, name) <= 1024:
            raise CountOutOfRange(setting=name, value=getattr(config, name))
    for setting in fields(Config):
        value = getattr(config, setting.name)
        if isinstance(value, int) and not 0 <= value <= INTEGER_MAX:
            raise SettingOutOfRange(setting=setting.name, value=value)
    for name in ("header_timeout_s", "stall_timeout_s"):
        if not getattr(config, name):
            raise TimeoutTooShort(setting=name, value=0)
    for name in ("ephemeral_events", "custom_notes_refs"):
        if getattr(config, name) not in (0, 1):
            raise SwitchInvalid(setting=name, value=getattr(config, name))
    if config.runtime_dir is not None and config.runtime_dir.exists() and not config.runtime_dir.is_dir():
        raise RuntimeDirNotAFolder(str(config.runtime_dir))
    if config.public_url and not _WEB_ADDRESS.fullmatch(config.public_url):
        shown = _without_login(config.public_url)
        raise PublicUrlInvalid(shown)
    parse_trusted_hosts(config.trusted_hosts)
    parse_upstream_urls(config.upstream_urls)
    parse_allowed_faults(config.import_allowed_faults)
    if config.log_level not in LOG_LEVELS:
        raise LogLevelUnknown(config.log_level)
    if config.database and not config.database.startswith(("postgresql://", "postgres://")):
        raise DatabaseSettingInvalid()
    host, _, port = config.listen.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or int(port) > 65535:
        raise ListenInvalid(config.listen)
