"""``broadsheet serve``: the site on this machine."""

from __future__ import annotations

import errno
import socket
import sys

import click

from broadsheet import places
from broadsheet.cli import voice
from broadsheet.cli.feed import opened_database
from broadsheet.cli.voice import Refusal

__all__ = ["serve_command"]


def _listen(host: str, port: int) -> socket.socket:
    """Return a bound socket, so that a port in use is known before anything is prepared."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # Without listening, a second server could bind the same address too.
        listener.listen(128)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise Refusal(
                f"port {port} on {host} is in use. Choose another: broadsheet serve --port {port + 1}"
                f"   (or: make run PORT={port + 1})",
                6,
            ) from error
        raise Refusal(f"cannot listen on {host}:{port}: {error.strerror or error}", 6) from error
    return listener


# A table of 2 MB and the fields beside it; what is larger is refused before any of it is looked at.
_LARGEST_REQUEST = 4_000_000


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Port; 0 takes a free one."
)
@click.option(
    "--threads", type=click.IntRange(1, 64), default=4, show_default=True, help="Requests served at a time."
)
@voice.json_option
def serve_command(host: str, port: int, threads: int, as_json: bool) -> None:
    """Serve the site: prepares the database, enters the built-in papers, prints the address.

    \b
    Example:
      broadsheet serve --port 8001
    """
    listener = _listen(host, port)
    try:
        with opened_database():
            pass  # it is ready; what goes wrong with it later, the pages say
        from waitress.server import create_server

        from broadsheet.site.wsgi import application

        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"
        if as_json:
            voice.print_json({"address": address, "home": str(places.home())})
        else:
            voice.say(
                f"Broadsheet is on {address}   (stop with Ctrl-C; everything lives in {places.home()})",
                bold=True,
            )
        # The line must be out before serving starts, also into a pipe: programs wait for it.
        sys.stdout.flush()
        server = create_server(
            application,
            sockets=[listener],
            threads=threads,
            ident="broadsheet",
            max_request_body_size=_LARGEST_REQUEST,
        )
        server.run()
    finally:
        listener.close()
