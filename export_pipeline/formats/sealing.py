"""Sealing: a finished, verified file becomes one that only the owners of some keys can read.

A sealed file cannot be read back here: the private keys are elsewhere. So the plain file is written and verified as any
other, and then sealed in one pass that proves three things: the bytes that were encrypted are those that were verified
(they are hashed on their way in), the encrypted bytes give back exactly these (a second process decrypts the message
while it is written, with a key that lives as long as this pass), and each recipient's key can decrypt at all. What
opens the message for the passing key is left out of the file.

::

    plain file --hash--> encrypt --+--> without the passing key's packet --> Sink
                                   +--> decrypt --hash--> the same?
"""

from __future__ import annotations

import hashlib
import importlib.util
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from export_pipeline.errors import ConfigError, VerificationError, not_installed
from export_pipeline.formats.pgp import Pump, Sieve, passing_key
from export_pipeline.formats.sink import Sink
from export_pipeline.lists import Names
from export_pipeline.options import NamesFiles, OneOf, Options

if TYPE_CHECKING:
    import threading

    from export_pipeline.formats.about import About
    from export_pipeline.verification import Artifact

MAX_KEYS = 1_000_000
"""Bytes of a file of keys."""
_PIECE = 1 << 20


class Pgp(Options):
    """OpenPGP: for the owners of these public keys."""

    tag: ClassVar[str] = "pgp"
    short: ClassVar[str | None] = "recipients"
    extension: ClassVar[str] = ".pgp"
    media_type: ClassVar[str] = "application/pgp-encrypted"

    recipients: Annotated[Names, Field(min_length=1), NamesFiles]
    """Files of public keys (`gpg --export --armor NAME`), relative to the home folder (for an export file elsewhere: to
    that file) and in a folder that exports may read. A file may hold several keys; whoever has one of the private keys
    can read the result."""

    def stripped(self, name: str) -> str:
        """Return the name of the plain file inside."""
        return name[: -len(self.extension)] if name.lower().endswith(self.extension) else name

    def ready(self, about: About) -> list[Any]:
        """Return the certificates; ConfigError for a missing library and for a key that nothing can be encrypted to."""
        if importlib.util.find_spec("pysequoia") is None:
            raise not_installed("seal: pgp", "pysequoia", "pgp")
        return [
            cert for file in self.recipients for cert in _certificates(file, about.read("seal: pgp", file, MAX_KEYS))
        ]

    def apply(self, artifact: Artifact, about: About, *, stop: threading.Event | None = None) -> Artifact:
        """Encrypt a verified file into one beside it; return what is to be delivered.

        Raises VerificationError where not exactly the verified bytes went in, or do not come out again.
        """
        began = time.perf_counter()
        keys = b"".join(bytes(cert) for cert in self.ready(about))
        passing = passing_key()
        path = artifact.path.with_name(artifact.path.name + self.extension)
        given, back = hashlib.sha256(), hashlib.sha256()
        sieve = Sieve(passing.key_id)
        with (
            Sink(path, stop=stop) as sink,
            Pump("encrypt", keys + passing.public) as encrypt,
            Pump("decrypt", passing.private) as decrypt,
        ):
            encrypt.feed(_pieces(artifact.path, given))
            decrypt.drain(back.update)
            for piece in encrypt.output():
                decrypt.write(piece)
                for kept in sieve.put(piece):
                    sink.write(kept)
            encrypt.finish()
            sieve.finish()
            decrypt.finish()
            if not given.hexdigest() == back.hexdigest() == artifact.sha256:
                raise VerificationError(
                    f"{artifact.name}: what was encrypted, or what comes out again, is not the file that was verified",
                    cure="It was not delivered. The staged file was changed, or the disk is failing: run it again.",
                )
        return artifact.replace(
            path=path,
            bytes=sink.bytes,
            sha256=sink.sha256,
            media_type=self.media_type,
            seconds=round(artifact.seconds + time.perf_counter() - began, 3),
        )


AnySeal = Annotated[Pgp, OneOf("seal")]
"""`{pgp: [partner.asc]}`."""


def _pieces(path: Path, digest: Any) -> Any:
    """Yield the bytes of a file, which are hashed."""
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            yield piece


def _certificates(name: str, data: bytes) -> list[Any]:
    """Return the public keys in a file, each of which can be encrypted to."""
    import pysequoia
    from pysequoia.packet import PacketPile

    cure = "Export the public key: gpg --export --armor NAME > public.asc"
    try:
        secret = any("Secret" in str(packet.tag) for packet in PacketPile.from_bytes(data))
        certs = list(pysequoia.Cert.split_bytes(data))
    except Exception as error:  # pysequoia raises RuntimeError with a stack for everything
        raise ConfigError(f"seal: pgp: {name!r} holds no PGP key: {str(error).splitlines()[0]}", cure=cure) from None
    if secret:
        raise ConfigError(f"seal: pgp: {name!r} holds a private key, which does not belong here", cure=cure)
    if not certs:
        raise ConfigError(f"seal: pgp: {name!r} holds no PGP key", cure=cure)
    for cert in certs:
        if reason := _unusable(cert):
            shown = f"{cert.fingerprint.upper()} ({', '.join(map(str, cert.user_ids)) or 'no name'})"
            raise ConfigError(
                f"seal: pgp: {name!r}: nothing can be encrypted to the key {shown}: {reason}",
                cure="Ask its owner for a current public key.",
            )
    return certs


def _unusable(cert: Any) -> str | None:
    """Return why nothing can be encrypted to a certificate."""
    import pysequoia

    if cert.is_revoked:
        return "it is revoked"
    # pysequoia looks at the end of the subkey only
    if cert.expiration is not None and cert.expiration <= datetime.now(UTC):
        return f"it ended {cert.expiration:%Y-%m-%d}"
    try:
        pysequoia.encrypt(b"", recipients=[cert], armor=False)
    except Exception as error:  # see above
        return str(error).splitlines()[0]
    return None
