"""Settings that a server does not start with."""

from packhouse.errors import Code, Invalid


class UpstreamUrlsInvalid(Invalid):
    """An entry of the setting `upstream_urls` is not `provider=https://host/path`.

    `value` is the entry without its login.
    """

    code = Code.UPSTREAM_URLS_INVALID
    value: str


class TrustedHostsInvalid(Invalid):
    """An entry of the setting `trusted_hosts` is not `scheme://host:port`. `value` is the entry without its login."""

    code = Code.TRUSTED_HOSTS_INVALID
    value: str


class FaultUnknown(Invalid):
    """The setting `import_allowed_faults` names a fault that git does not know."""

    code = Code.FAULT_UNKNOWN
    value: str


class FaultNeverAllowed(Invalid):
    """The setting names a fault whose objects can do harm at a client. `value` is the name of the fault."""

    code = Code.FAULT_NEVER_ALLOWED
    value: str


class SettingUnknown(Invalid):
    """A `PACKHOUSE_` variable belongs to no setting."""

    code = Code.SETTING_UNKNOWN
    variable: str


class SettingEmpty(Invalid):
    """A setting that names a folder is empty."""

    code = Code.SETTING_EMPTY
    setting: str


class SwitchInvalid(Invalid):
    """A setting that is a switch is neither 0 nor 1."""

    code = Code.SWITCH_INVALID
    setting: str
    value: str | int


class SettingNotANumber(Invalid, kw_only=True):
    """A setting that takes a number is not a whole number."""

    code = Code.SETTING_NOT_A_NUMBER
    setting: str
    value: str


class TlsFilesIncomplete(Invalid):
    """One of the settings `tls_cert` and `tls_key` is absent."""

    code = Code.TLS_FILES_INCOMPLETE


class CountOutOfRange(Invalid):
    """A setting that counts processes, threads or seconds is out of range."""

    code = Code.COUNT_OUT_OF_RANGE
    setting: str
    value: int


class SettingOutOfRange(Invalid):
    """A setting is negative, or larger than the numbers that JSON holds exactly."""

    code = Code.SETTING_OUT_OF_RANGE
    setting: str
    value: int


class TimeoutTooShort(Invalid):
    """A setting that limits a time is 0. This limit cannot be switched off."""

    code = Code.TIMEOUT_TOO_SHORT
    setting: str
    value: int


class RuntimeDirNotAFolder(Invalid):
    """The setting `runtime_dir` names something else than a folder."""

    code = Code.RUNTIME_DIR_NOT_A_FOLDER
    value: str


class PublicUrlInvalid(Invalid):
    """The setting `public_url` is not a web address. `value` is the setting without its login."""

    code = Code.PUBLIC_URL_INVALID
    value: str


class LogLevelUnknown(Invalid):
    """The setting `log_level` is not a level of the log."""

    code = Code.LOG_LEVEL_UNKNOWN
    value: str


class DatabaseSettingInvalid(Invalid):
    """The setting `database` is not an address of PostgreSQL.

    The error does not show it, since it may hold a password.
    """

    code = Code.DATABASE_SETTING_INVALID


class ListenInvalid(Invalid):
    """The setting `listen` is not an address and a port. A port is a number from 0 to 65535."""

    code = Code.LISTEN_INVALID
    value: str
