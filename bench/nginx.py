"""The reference for Git over HTTP: nginx, fcgiwrap and git-http-backend on a folder of bare repositories."""

import functools
import os
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType

from tests.support.clients.git import Git
from tests.support.servers.ports import free_port
from tests.support.servers.processes import signal_session, wait_until_gone
from tests.support.servers.programs import find_program
from tests.support.waiting import wait_until

PROGRAMS = ("nginx", "fcgiwrap")

_CONFIG = """\
daemon off;
{user}
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{servers}
}}
"""

_SERVER = """\
  server {{
    listen 127.0.0.1:{port};
    auth_basic "git";
    auth_basic_user_file {folder}/passwords;
    location / {{
      fastcgi_buffering {buffering};
      fastcgi_request_buffering {buffering};
      fastcgi_pass 127.0.0.1:{fcgi_port};
      fastcgi_read_timeout 600;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {folder}/repos;
      fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param GIT_PROTOCOL $http_git_protocol;
      fastcgi_param HOME {folder};
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
    }}
  }}
"""


def missing_programs() -> list[str]:
    """Return the needed programs that this machine lacks."""
    return [name for name in PROGRAMS if find_program(name) is None]


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


class NginxGit:
    """Context manager: serves `repos/`, on one port with fastcgi_buffering on and on another with it off.

    It asks for a password like our server, so that git makes the same number of requests to both.
    """

    def __init__(self, folder: Path, git: Git) -> None:
        self._folder = folder
        self._git = git
        self._ports = {"on": free_port(), "off": free_port()}
        self._fcgi_port = free_port()  # the path of a socket must be short (unix(7)), and folders may be deep
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "NginxGit":
        (self._folder / "repos").mkdir(parents=True)
        (self._folder / "passwords").write_text("t:{PLAIN}secret\n")
        (self._folder / ".gitconfig").write_text("[safe]\n\tdirectory = *\n[http]\n\treceivepack = true\n")
        backend = Path(self._git.run("--exec-path")) / "git-http-backend"
        servers = "".join(
            _SERVER.format(
                port=port,
                folder=self._folder,
                buffering=buffering,
                backend=backend,
                fcgi_port=self._fcgi_port,
            )
            for buffering, port in self._ports.items()
        )
        config = self._folder / "nginx.conf"
        # Started as root, it would give its work to a user who may not read this folder.
        user = "user root;" if os.geteuid() == 0 else ""
        config.write_text(_CONFIG.format(folder=self._folder, servers=servers, user=user))
        self._start(find_program("fcgiwrap"), "-c", "8", "-s", f"tcp:127.0.0.1:{self._fcgi_port}")
        self._start(find_program("nginx"), "-p", str(self._folder), "-c", str(config))
        for port in (self._fcgi_port, *self._ports.values()):
            wait_until(functools.partial(_is_listening, port), f"nobody listens on port {port}")
        return self

    def _start(self, program: str | None, *args: str) -> None:
        assert program is not None, "check missing_programs first"
        self._processes.append(
            subprocess.Popen(
                [program, *args], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            signal_session(process.pid, signal.SIGTERM)  # fcgiwrap does not end its children
            process.wait()
            wait_until_gone(process.pid)

    def add_repo(self, name: str, source: Path) -> None:
        """Serve a bare copy of `source` as `name`."""
        self._git.run("clone", "--quiet", "--bare", source, self._folder / "repos" / name)

    def remote(self, name: str, *, buffering: str) -> str:
        """Return the remote address of a repository. `buffering` is on or off."""
        return f"http://t:secret@127.0.0.1:{self._ports[buffering]}/{name}"
