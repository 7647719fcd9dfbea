"""Several server processes on one socket: start them, restart those that crash, end them together.

The supervisor opens neither database nor repositories, and starts no thread. So it can be forked at any time, and the
workers share only the code with it in memory.
"""

import contextlib
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from packhouse import limits
from packhouse.config import Config
from packhouse.log import log_event

EXIT_START_FAILED: Final = 3
"""Exit status of a worker that failed to start. The reason is in the log."""

KILL_MARGIN_S: Final = 5.0
START_WINDOW_S: Final = 30.0
RESTART_WINDOW_S: Final = 60.0
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def supervise(run_worker: Callable[[], int], config: Config, listener: socket.socket) -> int:
    """Keep `config.workers` processes running `run_worker` until SIGTERM, SIGINT or SIGHUP; return the exit status.

    A worker that ends by itself is replaced. When too many do in a row, or one cannot even start, all are ended and the
    status is 1. Workers end by themselves when this process is killed. They share `listener`. This process closes its
    copy when they are to end.
    """
    return _Supervisor(run_worker, config, listener).run()


class _Supervisor:
    def __init__(self, run_worker: Callable[[], int], config: Config, listener: socket.socket) -> None:
        self._run_worker = run_worker
        self._config = config
        self._listener = listener
        self._workers: set[int] = set()
        self._crashes: deque[float] = deque()
        self._stop_signal = 0
        self._started_at = time.monotonic()
        # Workers hold the reading end. It reads end-of-file once this process is gone, also after a SIGKILL.
        self._life_reader, self._life_writer = os.pipe()
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)

    def run(self) -> int:
        # An ignored SIGHUP stays ignored, since nohup asked for it. An ignored SIGINT is heeded again: shells ignore it
        # for every background job, and a SIGINT that is sent to this process should end it.
        is_nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        heeded = [number for number in _SIGNALS if number != signal.SIGHUP or not is_nohup]
        previous = {number: signal.signal(number, self._note_signal) for number in heeded}
        signal.set_wakeup_fd(self._wake_writer.fileno())
        try:
            for _ in range(self._config.workers):
                self._start_worker()
            healthy = self._watch()
            self._stop_workers()
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in previous.items():
                signal.signal(number, handler)
        return 0 if healthy else 1

    def _note_signal(self, number: int, _frame: object) -> None:
        if number != signal.SIGCHLD:
            self._stop_signal = number

    def _sleep(self, timeout_s: float) -> None:
        """Wait for a signal, at most `timeout_s`."""
        select.select([self._wake_reader], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            self._wake_reader.recv(4096)

    def _watch(self) -> bool:
        """Replace workers that end. Return True when asked to stop, False when workers keep ending."""
        while not self._stop_signal:
            for process_id, status in self._reap():
                log_event("worker ended", level=logging.ERROR, pid=process_id, status=status)
                if status == EXIT_START_FAILED and not self._is_settled():
                    return False
                if not self._may_restart():
                    log_event("workers keep ending, giving up", level=logging.ERROR)
                    return False
                self._start_worker()
            self._sleep(10)
        return True

    def _is_settled(self) -> bool:
        """Tell whether the first workers had time to start. After that, a failed start may pass and is tried again."""
        return time.monotonic() - self._started_at > START_WINDOW_S

    def _may_restart(self) -> bool:
        now = time.monotonic()
        self._crashes.append(now)
        while now - self._crashes[0] > RESTART_WINDOW_S:
            self._crashes.popleft()
        return len(self._crashes) <= limits.worker_restarts_max * self._config.workers

    def _reap(self) -> list[tuple[int, int]]:
        ended = []
        for process_id in list(self._workers):
            reaped, status = os.waitpid(process_id, os.WNOHANG)
            if reaped:
                self._workers.discard(process_id)
                ended.append((process_id, os.waitstatus_to_exitcode(status)))
        return ended

    def _start_worker(self) -> None:
        # A signal to end that reaches the worker while it still handles signals as this process does would be lost.
        unblocked = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        process_id = os.fork()
        if process_id:
            self._workers.add(process_id)
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            return
        status = 1
        try:
            self._become_worker()
            signal.pthread_sigmask(signal.SIG_SETMASK, unblocked)
            status = self._run_worker()
        except BaseException:  # noqa: BLE001  # the last frame of the process: it must not go on as a supervisor
            log_event("worker failed", level=logging.ERROR, exc_info=True)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)

    def _become_worker(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        self._wake_reader.close()
        self._wake_writer.close()
        os.close(self._life_writer)
        watcher = threading.Thread(target=self._end_with_supervisor, name="supervisor-watch", daemon=True)
        watcher.start()

    def _end_with_supervisor(self) -> None:
        os.read(self._life_reader, 1)
        log_event("supervisor is gone, stopping", level=logging.ERROR, pid=os.getpid())
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._config.shutdown_grace_s + KILL_MARGIN_S)
        os._exit(1)

    def _stop_workers(self) -> None:
        """Ask the workers to end; kill the workers that still run when the grace period is over."""
        # While one process keeps it open, the kernel takes connections that nobody will ever serve.
        self._listener.close()
        self._signal_workers(signal.SIGTERM)
        deadline = time.monotonic() + self._config.shutdown_grace_s + KILL_MARGIN_S
        while self._workers and (left_s := deadline - time.monotonic()) > 0:
            self._reap()
            if self._workers:
                self._sleep(min(left_s, 0.5))
        self._signal_workers(signal.SIGKILL)
        while self._workers:
            self._reap()
            time.sleep(0.01)

    def _signal_workers(self, number: int) -> None:
        for process_id in self._workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, number)
