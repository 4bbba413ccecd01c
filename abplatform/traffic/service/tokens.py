"""Signed, expiring words in impression and click URLs: nobody else can make or change them.

A token is base64url(payload ‖ HMAC-SHA256(key, payload)), the payload MessagePack: what it is for,
until when it is good, and all that the event needs. So a replica, or the service after a restart,
reads it without a memory of the decision.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import secrets
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from abplatform.durable import make_folder, sync_folder
from abplatform.errors import WorkspaceError

__all__ = ["KEY_FILE", "Expired", "Forged", "Signed", "Signer", "read_key"]

KEY_FILE: Final = "service.key"
"""Its name under ``data/``; 64 hex digits that only the service's user may read."""

_MAC_BYTES: Final = 32
_MOST_CHARACTERS: Final = 65_536
"""The longest names that an impression may have, four bytes a letter, are well below."""

Purpose = Literal["impression", "click", "ad"]


class Forged(ValueError):
    """No key of ours has signed this for that purpose."""


class Expired(ValueError):
    """We did sign it, but its time is over."""


class Signed(Struct, frozen=True, array_like=True):
    """A token's payload.

    Args:
        purpose: What it is for.
        expires: Unix seconds until which it is good.
        content: The event's line, or the decision's id.
    """

    purpose: Purpose
    expires: int
    content: bytes


class Signer:
    """Makes and reads tokens.

    Args:
        key: The secret, 32 bytes or more.
        clock: Tells the present moment.
    """

    def __init__(self, key: bytes, clock: Callable[[], datetime]) -> None:
        self._key = key
        self._clock = clock
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(Signed)

    def sign(self, purpose: Purpose, content: bytes, *, expires: int) -> str:
        """Return a token for a URL.

        Args:
            purpose: What it is for.
            content: What it says.
            expires: Unix seconds until which it is good.
        """
        payload = self._encoder.encode(Signed(purpose, expires, content))
        signed = payload + hmac.digest(self._key, payload, "sha256")
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def read(self, purpose: Purpose, token: str) -> Signed:
        """Return what a token says.

        Args:
            purpose: What it must be for.
            token: As it came.

        Raises:
            Forged: It is not ours, was changed, or is for something else.
            Expired: It was good once.
        """
        if len(token) > _MOST_CHARACTERS:
            raise Forged("the token is too long to be ours")
        try:
            padded = token.encode("ascii") + b"=" * (-len(token) % 4)
            signed = base64.b64decode(padded, altchars=b"-_", validate=True)
        except (UnicodeEncodeError, binascii.Error):
            raise Forged("the token is no base64") from None
        # One content has one spelling: spare bits and padding of base64 would allow others.
        if base64.urlsafe_b64encode(signed).rstrip(b"=") != token.encode("ascii"):
            raise Forged("the token is no base64")
        payload, mac = signed[:-_MAC_BYTES], signed[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, hmac.digest(self._key, payload, "sha256")):
            raise Forged("the token's signature is wrong")
        try:
            found = self._decoder.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Forged("the token's content is of another version") from None
        if found.purpose != purpose:
            raise Forged(f"the token is for an {found.purpose}")
        if self._clock().timestamp() > found.expires:
            raise Expired("the token has expired")
        return found


def read_key(data: Path) -> bytes:
    """Return the workspace's key; made at the first call.

    Args:
        data: The folder of what the platform writes.

    Raises:
        WorkspaceError: The file holds no key.
    """
    path = data / KEY_FILE
    if not path.exists():
        make_folder(data)
        draft = path.with_name(f".{KEY_FILE}.{os.getpid()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(32).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # of two that start at once, the first one's key stays
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_folder(data)
    text = path.read_bytes().strip()
    try:
        key = bytes.fromhex(text.decode("ascii"))
    except ValueError:
        key = b""
    if len(key) < _MAC_BYTES:
        raise WorkspaceError(
            "this is no key of 64 hex digits",
            path=path,
            remedy="delete it: another one is made, and URLs handed out before stop working",
        )
    return key
