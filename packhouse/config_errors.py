"""Settings that a server does not start with."""

from packhouse.error_codes import Code
from packhouse.errors import Invalid


class UpstreamUrlsInvalid(Invalid):
    """An entry of `upstream_urls` has another form. `value` is the entry without its login."""

    code = Code.UPSTREAM_URLS_INVALID
    value: str


class TrustedHostsInvalid(Invalid):
    """An entry of `trusted_hosts` has another form. `value` is the entry without its login."""

    code = Code.TRUSTED_HOSTS_INVALID
    value: str


class FaultUnknown(Invalid):
    """Git has no fault of this name."""

    code = Code.FAULT_UNKNOWN
    value: str


class FaultNeverAllowed(Invalid):
    """The fault would let an object do harm at a client. `value` is its name."""

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
    """A setting that is a switch has another value than 0 and 1."""

    code = Code.SWITCH_INVALID
    setting: str
    value: str | int


class SettingNotANumber(Invalid, kw_only=True):
    """A setting that is a number has other text."""

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
    """A setting is a number that JSON cannot say."""

    code = Code.SETTING_OUT_OF_RANGE
    setting: str
    value: int


class TimeoutTooShort(Invalid):
    """A setting that limits a time is 0, and the limit cannot be switched off."""

    code = Code.TIMEOUT_TOO_SHORT
    setting: str
    value: int


class RuntimeDirNotAFolder(Invalid):
    """The setting names something else than a folder."""

    code = Code.RUNTIME_DIR_NOT_A_FOLDER
    value: str


class PublicUrlInvalid(Invalid):
    """The setting is no web address. `value` leaves out its login."""

    code = Code.PUBLIC_URL_INVALID
    value: str


class LogLevelUnknown(Invalid):
    """The setting is another word than the levels of the log."""

    code = Code.LOG_LEVEL_UNKNOWN
    value: str


class DatabaseSettingInvalid(Invalid):
    """The setting is no address of PostgreSQL. It may hold a password and is not shown."""

    code = Code.DATABASE_SETTING_INVALID


class ListenInvalid(Invalid):
    """The setting names no address and port. A port is a number from 0 to 65535."""

    code = Code.LISTEN_INVALID
    value: str
