"""Encryption of a part of a zip file with a password, as WinZip, 7-Zip and macOS read it: AES-256, version AE-2.

The key comes from the password and a salt of chance (PBKDF2, SHA-1, 1,000 rounds: the format has no other), so the same
content is never the same file. The bytes are encrypted in counter mode and authenticated by HMAC-SHA-1. The cipher is
pycryptodomex's; everything else is the standard library's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import struct

_KEY, _SALT, _CHECK, _MAC = 32, 16, 2, 10
_ROUNDS = 1000


class Cipher:
    """Encrypts the deflated bytes of one part."""

    extra = struct.pack("<HHH2sBH", 0x9901, 7, 2, b"AE", 3, 8)
    """The field of the header that says: AE-2, 256 bits, deflated."""

    def __init__(self, password: bytes) -> None:
        from Cryptodome.Cipher import AES
        from Cryptodome.Util import Counter

        salt = os.urandom(_SALT)
        made = hashlib.pbkdf2_hmac("sha1", password, salt, _ROUNDS, 2 * _KEY + _CHECK)
        counter = Counter.new(128, little_endian=True, initial_value=1)
        self._cipher = AES.new(made[:_KEY], AES.MODE_CTR, counter=counter)
        self._mac = hmac.new(made[_KEY : 2 * _KEY], digestmod="sha1")
        self.head = salt + made[2 * _KEY :]
        """What stands before the bytes: the salt, and two bytes that tell most wrong passwords."""

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt the next bytes."""
        encrypted: bytes = self._cipher.encrypt(data)
        self._mac.update(encrypted)
        return encrypted

    def tail(self) -> bytes:
        """Return what stands behind the bytes: their authentication."""
        return self._mac.digest()[:_MAC]
