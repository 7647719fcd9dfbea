"""`packhouse worker`: background work without a server."""

import logging
import os
import signal
import threading

import click

from packhouse.cli.command import PackhouseCommand
from packhouse.cli.node import opened_node
from packhouse.cli.settings import load_settings, start_logging, with_server_settings
from packhouse.jobs.background import start_background
from packhouse.log import log_event


@with_server_settings
@click.command("worker", cls=PackhouseCommand)
def command() -> int:
    """Do background work (jobs, webhooks, maintenance) until SIGTERM or SIGINT.

    Servers do the same work in process; workers beside them take part of it. Settings that concern requests
    have no effect.
    """
    start_logging(load_settings())
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ending.set())
    with opened_node() as node:
        stop_background = start_background(node)
        log_event("working", pid=os.getpid())
        ending.wait()
        stop_background()
    log_event("stopped", pid=os.getpid())
    if any(thread.name.startswith("packhouse") for thread in threading.enumerate()):
        # Hanging work would keep the process for ever. Its lease ends, and another process does the work again.
        logging.shutdown()
        os._exit(0)
    return 0
