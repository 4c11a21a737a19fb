"""Errors about a consent, the provider that is asked for it, and the tokens that are sealed in the file."""

from restpoint.errors.roots import Refused, RestpointError


class ConsentDenied(Refused):
    """A consent was denied. ``denial_code`` is the OAuth error code, usually ``access_denied`` (RFC 6749, section 4.1.2.1).

    The person said no, or the provider did in their place. An error that is nobody's refusal, such as ``invalid_client``,
    ends no consent: it stays open, and the log of the server says what to correct.
    """

    code = "consent_denied"

    def __init__(self, provider: str, denial_code: str) -> None:
        super().__init__(f"The consent at {provider} was denied: {denial_code}. Ask again with another ctx.authorize.")
        self.provider = provider
        self.denial_code = denial_code


class ConsentExpired(Refused, TimeoutError):
    """The deadline of a consent passed before it was granted."""

    code = "consent_expired"

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"The consent at {provider} expired: its deadline passed. Ask again with another ctx.authorize."
        )
        self.provider = provider


class ConsentWithdrawn(Refused):
    """A consent was withdrawn before it was granted."""

    code = "consent_withdrawn"

    def __init__(self, provider: str) -> None:
        super().__init__(f"The consent at {provider} was withdrawn. Ask again with another ctx.authorize.")
        self.provider = provider


class ProviderUnreachable(RestpointError, ConnectionError):
    """An OAuth provider was not reached, or its answer was not usable. Trying again is safe."""

    code = "provider_unreachable"

    def __init__(self, provider: str, problem: str) -> None:
        super().__init__(f"The provider {provider} gave no usable answer: {problem}. Try again.")
        self.provider = provider


class SealBroken(RestpointError):
    """A sealed value cannot be decrypted: it was changed, or it belongs to another row."""

    code = "seal_broken"


class KeyMissing(SealBroken):
    """A value was sealed with a key that is not in the key ring."""

    code = "key_missing"

    def __init__(self, key_id: str, place: str) -> None:
        super().__init__(
            f"The key {key_id[:80]!r} is not in the ring of {place}, and the values that it sealed do not open without it. "
            "Put the key back from your copy of the ring; nothing was changed."
        )
        self.key_id = key_id
