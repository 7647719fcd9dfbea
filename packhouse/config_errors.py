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
    """`value` is the name."""

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
    """The setting is a folder, which has no default."""

    code = Code.SETTING_EMPTY
    setting: str


class SwitchInvalid(Invalid):
    """The setting is a switch."""

    code = Code.SWITCH_INVALID
    setting: str
    value: str | int


class SettingNotANumber(Invalid, kw_only=True):
    """The setting is a number."""

    code = Code.SETTING_NOT_A_NUMBER
    setting: str
    value: str


class TlsFilesIncomplete(Invalid):
    """One of the two is given."""

    code = Code.TLS_FILES_INCOMPLETE


class CountOutOfRange(Invalid):
    """The setting counts processes, threads or seconds."""

    code = Code.COUNT_OUT_OF_RANGE
    setting: str
    value: int


class SettingOutOfRange(Invalid):
    """The setting is a number that JSON could not say."""

    code = Code.SETTING_OUT_OF_RANGE
    setting: str
    value: int


class TimeoutTooShort(Invalid):
    """The setting is a time limit, which cannot be switched off."""

    code = Code.TIMEOUT_TOO_SHORT
    setting: str
    value: int


class RuntimeDirNotAFolder(Invalid):
    """Something else has that name."""

    code = Code.RUNTIME_DIR_NOT_A_FOLDER
    value: str


class PublicUrlInvalid(Invalid):
    """`value` is the address without its login."""

    code = Code.PUBLIC_URL_INVALID
    value: str


class LogLevelUnknown(Invalid):
    """The log has no other levels."""

    code = Code.LOG_LEVEL_UNKNOWN
    value: str


class DatabaseSettingInvalid(Invalid):
    """SQLite is chosen by leaving the setting out. The value may hold a password and is not shown."""

    code = Code.DATABASE_SETTING_INVALID


class ListenInvalid(Invalid):
    """The port is a number from 0 to 65535."""

    code = Code.LISTEN_INVALID
    value: str
