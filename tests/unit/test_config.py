"""Settings: their sources, and the values that are refused at start."""

from pathlib import Path

import pytest

from packhouse.config import Config, find_service_links, load_config
from packhouse.errors import Invalid

pytestmark = pytest.mark.quick


def test_a_flag_wins_over_its_variable_and_the_variable_over_the_default() -> None:
    environ = {"PACKHOUSE_WORKERS": "3", "PACKHOUSE_THREADS": "4", "HOME": "elsewhere"}
    config = load_config({"workers": 5, "listen": None}, environ)
    assert (config.workers, config.threads, config.listen) == (5, 4, "127.0.0.1:8080")


def test_a_switch_is_an_option_without_a_value_and_a_variable_of_0_or_1() -> None:
    name = "PACKHOUSE_ACCEPT_EMPTY_DATABASE"
    assert [load_config({}, {name: value}).accept_empty_database for value in "01"] == [False, True]
    assert load_config({"accept_empty_database": True}, {name: "0"}).accept_empty_database


def test_folders_are_absolute_once_they_are_named() -> None:
    assert load_config({"data": "here"}, {}).data == Path.cwd() / "here"
    assert load_config({"tls_cert": ""}, {}).tls_cert is None


def test_the_database_is_in_the_data_folder_unless_it_is_named() -> None:
    assert load_config({"data": "/srv/x"}, {}).database_url == "sqlite:////srv/x/packhouse.db"
    named = "postgresql://db.example/packhouse"
    assert load_config({}, {"PACKHOUSE_DATABASE": named}).database_url == named


@pytest.mark.parametrize(
    "environ",
    [
        {"PACKHOUSE_WORKER": "1"},
        {"PACKHOUSE_DATA": ""},
        {"PACKHOUSE_WORKERS": ""},
        {"PACKHOUSE_WORKERS": "0"},
        {"PACKHOUSE_WORKERS": "9" * 5000},
        {"PACKHOUSE_THREADS": "1025"},
        {"PACKHOUSE_SHUTDOWN_GRACE_S": "-1"},
        {"PACKHOUSE_PUSH_MAX_BYTES": "9" * 100},
        {"PACKHOUSE_LOG_LEVEL": "loud"},
        {"PACKHOUSE_LISTEN": "8080"},
        {"PACKHOUSE_LISTEN": ":8080"},
        {"PACKHOUSE_LISTEN": "localhost:http"},
        {"PACKHOUSE_LISTEN": "localhost:\u00b2"},
        {"PACKHOUSE_LISTEN": "localhost:65536"},
        {"PACKHOUSE_TLS_CERT": "cert.pem"},
        {"PACKHOUSE_DATABASE": "mysql://db.example/packhouse"},
        {"PACKHOUSE_PUBLIC_URL": "git.example"},
        {"PACKHOUSE_PUBLIC_URL": "https://git.example/a b"},
        {"PACKHOUSE_HEADER_TIMEOUT_S": "0"},
        {"PACKHOUSE_STALL_TIMEOUT_S": "0"},
        {"PACKHOUSE_EPHEMERAL_EVENTS": "2"},
        {"PACKHOUSE_IMPORT_ALLOWED_FAULTS": "badDate,hasDotgit"},
        {"PACKHOUSE_IMPORT_ALLOWED_FAULTS": "badDates"},
        {"PACKHOUSE_CUSTOM_NOTES_REFS": "2"},
        {"PACKHOUSE_ACCEPT_EMPTY_DATABASE": "yes"},
        {"PACKHOUSE_ACCEPT_EMPTY_DATABASE": ""},
    ],
)
def test_an_invalid_setting_stops_the_start(environ: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        load_config({}, environ)


@pytest.mark.parametrize(
    "environ",
    [
        {"PACKHOUSE_PUBLIC_URL": "https://t:sesame@git.example"},
        {"PACKHOUSE_TRUSTED_HOSTS": "https://t:sesame@git.example:443"},
        {"PACKHOUSE_UPSTREAM_URLS": "github=https://t:sesame@git.example"},
        {"PACKHOUSE_DATABASE": "mysql://t:sesame@db.example/packhouse"},
    ],
)
def test_a_refused_address_is_shown_without_its_login(environ: dict[str, str]) -> None:
    with pytest.raises(Invalid) as refused:
        load_config({}, environ)
    assert "sesame" not in str(refused.value)


LINKS = {
    "PACKHOUSE_PORT": "tcp://10.0.0.1:8080",
    "PACKHOUSE_PORT_8080_TCP": "tcp://10.0.0.1:8080",
    "PACKHOUSE_PORT_8080_TCP_ADDR": "10.0.0.1",
    "PACKHOUSE_PORT_8080_TCP_PORT": "8080",
    "PACKHOUSE_PORT_8080_TCP_PROTO": "tcp",
    "PACKHOUSE_SERVICE_HOST": "10.0.0.1",
    "PACKHOUSE_SERVICE_PORT": "8080",
    "PACKHOUSE_SERVICE_PORT_HTTP": "8080",
    "PACKHOUSE_WEB_PORT": "tcp://10.0.0.2:80",
    "PACKHOUSE_WEB_PORT_53_UDP": "udp://10.0.0.2:53",
    "PACKHOUSE_WEB_PORT_8080_TCP": "tcp://10.0.0.2:8080",
    "PACKHOUSE_WEB_SERVICE_HOST": "10.0.0.2",
    "PACKHOUSE_WEB_SERVICE_PORT_HTTP_ALT": "8080",
}


def test_variables_that_kubernetes_sets_for_a_service_are_not_settings() -> None:
    environ = {**LINKS, "PACKHOUSE_THREADS": "3", "OTHER_SERVICE_HOST": "10.0.0.3"}
    assert load_config({}, environ) == Config(data=Path.cwd() / "data", threads=3)
    assert find_service_links(environ) == sorted(LINKS)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("PACKHOUSE_LISTEN_PORT", "8080"),
        ("PACKHOUSE_LISTEN_PORT", ""),
        ("PACKHOUSE_WEB_PORT_HTTP", "tcp://10.0.0.1:8080"),
        ("PACKHOUSE_PORTS", "tcp://10.0.0.1:8080"),
        ("PACKHOUSE_SERVICE", "tcp://10.0.0.1:8080"),
        ("PACKHOUSE_", "tcp://10.0.0.1:8080"),
        ("PACKHOUSE_THREAD", "8"),
    ],
)
def test_any_other_unknown_variable_stops_the_start(name: str, text: str) -> None:
    with pytest.raises(Invalid, match="unknown setting"):
        load_config({}, {name: text})
    assert find_service_links({name: text}) == []


def test_the_defaults_are_valid() -> None:
    assert load_config({}, {}) == Config(data=Path.cwd() / "data")


def test_the_faults_that_imports_may_bring_are_a_list_of_harmless_ones() -> None:
    name = "PACKHOUSE_IMPORT_ALLOWED_FAULTS"
    assert "missingEmail" in load_config({}, {}).import_allowed_fault_names
    assert load_config({}, {name: ""}).import_allowed_fault_names == ()
    chosen = load_config({}, {name: "badDate, multipleauthors,badDate"}).import_allowed_fault_names
    assert chosen == ("badDate", "multipleAuthors")
    with pytest.raises(Invalid, match=r"never let through.*gitmodulesUrl"):
        load_config({}, {name: "gitmodulesUrl"})
    with pytest.raises(Invalid, match=r"does not know.*nonsense"):
        load_config({}, {name: "nonsense"})
