"""Ids that are seen outside: UUIDs of version 7 (RFC 9562, section 5.7).

They begin with the time, so that new rows land next to each other in an index and a growing file stays fast, and end in
74 random bits. No right rests on knowing one.
"""


def uuid7(milliseconds: int, random: bytes) -> str:
    """The UUID of a moment (milliseconds since the epoch) and 10 random bytes, of which 74 bits are used."""
    rest = random.hex()
    variant = "89ab"[random[9] & 3]
    return f"{milliseconds >> 16:08x}-{milliseconds & 0xFFFF:04x}-7{rest[:3]}-{variant}{rest[3:6]}-{rest[6:18]}"
