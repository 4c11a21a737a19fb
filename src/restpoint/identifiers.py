"""Ids that are seen outside: UUIDs of version 7 (RFC 9562, section 5.7).

They begin with the time, so that new rows land next to each other in an index and a growing file stays fast, and end in
74 random bits. No right rests on knowing one.
"""


def uuid7(milliseconds: int, random: bytes) -> str:
    """The UUID of a moment (milliseconds since the epoch) and 10 random bytes, of which 74 bits are used."""
    rest = int.from_bytes(random, "big")
    value = (
        (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        | 0x7 << 76
        | (rest >> 62 & 0xFFF) << 64
        | 0b10 << 62
        | rest & 0x3FFF_FFFF_FFFF_FFFF
    )
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
