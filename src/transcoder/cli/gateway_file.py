"""How the gateway of a file is served, which is looked at before it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transcoder.certificates import Certificates
from transcoder.config import Config, http_ports, options
from transcoder.config.file import Keys, load_placed
from transcoder.config.folder import Folder
from transcoder.config.models.listeners import asks_for_certificates
from transcoder.config.models.policies import Overrides, Policies
from transcoder.config.parts import WrongPart
from transcoder.errors import ConfigError
from transcoder.http_port import HttpPort
from transcoder.server_tls import ServerTls


def serving_of(file: str) -> tuple[Config, dict[str, Any], list[HttpPort]]:
    """Return what a file says, the arguments of the `Server`, and its ports for HTTP.

    Raises:
        ConfigError: something of that is wrong, or a file of `tls` is; with its place.
    """
    folder = Path(file).parent
    config, place = load_placed(file)
    try:
        found = options(config, folder), http_ports(config, folder)
        for keys, tls in _shown(config, Folder(folder)):
            _check(keys, tls)
        _check_certificates(config)
    except WrongPart as error:
        raise ConfigError(str(place(error.keys, str(error)))) from error
    return config, *found


def _shown(config: Config, folder: Folder) -> Iterator[tuple[Keys, ServerTls]]:
    given: dict[Keys, Any] = {("tls",): config.tls}
    given |= {("listeners", index, "tls"): each.tls for index, each in enumerate(config.listeners)}
    for keys, each in given.items():
        tls = folder.server_tls(each)
        if tls is not None:
            yield keys, tls


def _check(keys: Keys, tls: ServerTls) -> None:
    try:
        Certificates(tls, "tls")
    except ConfigError as error:
        _, key, problem = str(error).split(": ", 2)
        raise WrongPart((*keys, key), problem) from error


def _check_certificates(config: Config) -> None:
    """Refuse what goes by certificates of clients where no port asks for any."""
    if asks_for_certificates(config.tls, config.listeners):
        return
    advice = "give tls a client_ca"
    if config.trusted_peers:
        raise WrongPart(
            ("trusted_peers",), f"nobody shows a certificate to be trusted by: {advice}"
        )
    standing: dict[Keys, Policies | Overrides] = {("policies",): config.policies}
    standing |= {("overrides", text): each for text, each in config.overrides.items()}
    for keys, each in standing.items():
        if each.mutual_tls is not None:
            raise WrongPart((*keys, "mutual_tls"), f"nobody shows a certificate: {advice}")
