"""OAuth providers, as the operator configures them.

A provider is given by its *issuer*, whose metadata contain the rest (RFC 8414, OpenID Connect Discovery), or by its two
endpoints. A providers file is TOML with one table per provider. It names environment variables that hold the secrets::

    [github]
    client_id = "Iv1.8a61f9b3a7aba766"
    client_secret_env = "GITHUB_CLIENT_SECRET"
    authorization_endpoint = "https://github.com/login/oauth/authorize"
    token_endpoint = "https://github.com/login/oauth/access_token"
    scopes = ["repo"]

    [corporate]
    issuer = "https://login.example.com"
    client_id = "restpoint"
    client_secret_env = "CORPORATE_CLIENT_SECRET"
"""

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal, get_args
from urllib.parse import urlsplit

from restpoint._core.addresses import is_loopback
from restpoint.access import GROUP, LOCAL, ROLES
from restpoint.errors import InvalidArgument

AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]

CALLBACK: Final = "/auth/redirect"
"""The path of the redirect URI, below the mount of the routes. ``/NAME`` after it is a redirect URI for one provider."""

CALLBACK_PARAMETERS: Final = ("state", "code", "iss", "error", "error_description")
"""What a callback is made of (RFC 6749, sections 4.1.2 and 4.1.2.1; RFC 9207, section 2)."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749, section 3.3
_PARAMETER: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x22\x24-\x7e]+")
_MAX_URL: Final = 2_000  # characters
_MAX_ID: Final = 255  # characters, as of a sub (OpenID Connect Core, section 2)
_RESERVED: Final = frozenset(
    {"client_id", "client_secret", "redirect_uri", "response_type", "response_mode", "scope", "state",
     "code_challenge", "code_challenge_method", "code_verifier", "nonce", "request", "request_uri", "resource"}
)  # fmt: skip
_NOT_TEXT: Final = {
    "scopes": list, "resource": list, "authorization_parameters": dict, "pkce": bool,
    "sign_in": bool, "sign_in_scopes": list, "sign_in_roles": dict, "sign_in_required": dict,
}  # fmt: skip
_IN_TOML: Final = {list: "a list", dict: "a table", bool: "true or false", str: "text"}
_IN_WORDS: Final = {
    "response_mode": ("query", "form_post"),
    "token_response_format": ("json", "form"),
    "scope_separator": (" ", ","),
}


@dataclass(frozen=True, slots=True)
class Provider:
    """One provider. ``name`` is what workflows call it.

    - ``issuer`` or both endpoints are required. With all three, the metadata are not read, and ``iss`` of callbacks is compared
      with the issuer (RFC 9207).
    - ``client_secret`` is None for a public client.
    - ``scopes`` are requested if a workflow names none.
    - ``token_endpoint_auth_method`` defaults to what the metadata support, ``client_secret_basic`` first.
    - ``authorization_parameters`` are added to the authorization request, such as ``{"access_type": "offline"}``.
    - ``redirect_uri`` is the one registered with the provider. It ends with ``/auth/redirect`` or ``/auth/redirect/NAME``; the
      default is the first of them, at the address where the consent was opened.
    - ``title`` is the name that people see.

    The other settings are for providers that differ from the standard:

    - ``metadata_issuer`` is the issuer as the metadata name it, where that is not ``issuer``, the address at which they are. It
      may contain ``{tenantid}``, which stands for any one tenant.
    - ``pkce`` is False for a provider that refuses PKCE (RFC 7636). Then nothing but the client secret protects a code that was
      stolen, so it needs one.
    - ``response_mode`` is ``form_post`` for a provider that sends its answer as a form, else ``query``, its default.
    - ``resource`` names the resources that the token is for, at both endpoints (RFC 8707).
    - ``scope_parameter`` is the parameter that has the scopes, ``scope`` by default; ``scope_separator`` is what stands between
      two of them, a space by default, or a comma.
    - ``token_path`` is the member of the token response that has the token, with a dot before each next member.
    - ``token_type`` is what the provider calls a bearer token, if not ``Bearer``.
    - ``token_response_format`` is ``json`` or ``form``, where the provider's ``Content-Type`` does not say.

    With ``sign_in``, people sign in to the pages of the server with it, by OpenID Connect. It needs an issuer whose metadata are
    read, so leave the endpoints out:

    - ``sign_in_claim`` is the claim of the ID token that is the person's id, which the history shows: ``sub`` by default, which a
      provider never gives to another person (OpenID Connect Core, section 5.7). ``email`` counts only if ``email_verified`` is
      true. Other claims, such as ``preferred_username``, may be changed by the person or given to another one later; choose one
      only at a provider that forbids both.
    - ``sign_in_prefix`` stands before the id, such as ``corporate:``. Where several providers sign people in, each needs another.
    - ``sign_in_scopes`` are requested: ``openid`` by default, and ``email`` if that is one of the claims.
    - ``sign_in_groups_claim`` is the claim that lists the groups of the person, or a path to it with dots, such as
      ``realm_access.roles``; there are no groups unless it is given.
    - ``sign_in_roles`` gives roles to groups, such as ``{"operator": ["approvals-admins"]}``.
    - ``sign_in_address_claim`` is the claim that has the person's mail address, such as ``email``, where mail is to reach people
      who signed in once; none is kept unless it is given. ``email`` counts only if ``email_verified`` is true. Of another claim
      nobody says that it is verified: choose one only at a provider that gives people their addresses. Where the ID token has no
      such claim, the provider is asked for it (OpenID Connect Core, section 5.3).
    - ``sign_in_required`` says what claims must be for a person to be let in, such as ``{"hd": "example.com"}`` at Google, where
      anybody can have an account; where a claim is a list, the list must contain it. Everybody of the provider by default.

    Raises ``InvalidArgument``.
    """

    name: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    issuer: str | None = None
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    scopes: tuple[str, ...] = ()
    token_endpoint_auth_method: AuthMethod | None = None
    authorization_parameters: Mapping[str, str] = field(default_factory=dict)
    redirect_uri: str | None = None
    title: str | None = None
    metadata_issuer: str | None = None
    pkce: bool = True
    response_mode: Literal["query", "form_post"] | None = None
    resource: tuple[str, ...] = ()
    scope_parameter: str = "scope"
    scope_separator: Literal[" ", ","] = " "
    token_path: str | None = None
    token_type: str | None = None
    token_response_format: Literal["json", "form"] | None = None
    sign_in: bool = False
    sign_in_claim: str = "sub"
    sign_in_prefix: str = ""
    sign_in_scopes: tuple[str, ...] = ()
    sign_in_groups_claim: str | None = None
    sign_in_address_claim: str | None = None
    sign_in_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sign_in_required: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", read_scopes(self.scopes))
        object.__setattr__(self, "resource", _read_resource(self.name, self.resource))
        for key in ("issuer", "authorization_endpoint", "token_endpoint", "redirect_uri"):
            url = getattr(self, key)
            if url is not None:
                check_url(f"{key} of the provider {self.name}", url)
        method, methods = self.token_endpoint_auth_method, get_args(AuthMethod)
        wrong = (
            (not _NAME.fullmatch(self.name), "needs another name: 1 to 64 letters, digits, - and _"),
            (not self.client_id, "needs the client_id that it was registered with"),
            (
                (self.authorization_endpoint is None) != (self.token_endpoint is None),
                "needs both endpoints or none: authorization_endpoint and token_endpoint",
            ),
            (
                self.issuer is None and self.token_endpoint is None,
                "needs its issuer, or its authorization_endpoint and token_endpoint",
            ),
            (
                self.issuer is not None and "?" in self.issuer,
                "has an issuer with a query; an issuer has none (RFC 8414, section 2)",
            ),
            (
                self.issuer is not None and "{" in self.issuer,
                "has an issuer with braces; issuer is the address of the metadata, and what they name goes into metadata_issuer",
            ),
            (
                self.metadata_issuer is not None and self.issuer is None,
                "has a metadata_issuer, and no issuer at whose address the metadata are",
            ),
            (
                not self.pkce and self.client_secret is None,
                "has no client secret, so it cannot do without PKCE: anyone could redeem a stolen code",
            ),
            (
                not _PARAMETER.fullmatch(self.scope_parameter) or self.scope_parameter in _RESERVED - {"scope"},
                f"has the scope_parameter {self.scope_parameter[:50]!r}; it is the name of a parameter, such as user_scope",
            ),
            *(
                (
                    getattr(self, key) not in {None, *words},
                    f"has the {key} {getattr(self, key)!r}; it is one of {', '.join(map(repr, words))}",
                )
                for key, words in _IN_WORDS.items()
            ),
            (
                method is not None and method not in methods,
                f"has the token_endpoint_auth_method {method!r}; it is one of {', '.join(methods)}",
            ),
            (
                self.client_secret is None and method in {"client_secret_basic", "client_secret_post"},
                "has no client secret, and its token_endpoint_auth_method needs one",
            ),
            (
                self.redirect_uri is not None and self.mount is None,
                f"needs a redirect_uri that ends with {CALLBACK} or {CALLBACK}/{self.name}",
            ),
            *(
                (key in _RESERVED, f"sets {key} among its authorization_parameters; restpoint sets that")
                for key in self.authorization_parameters
            ),
            *(
                (not isinstance(value, str), f"needs text for {key} among its authorization_parameters")
                for key, value in self.authorization_parameters.items()
            ),
            *self._of_sign_in(),
        )
        for is_wrong, how in wrong:
            if is_wrong:
                raise InvalidArgument(f"The provider {self.name!r} {how}.")
        email = ("email",) if "email" in {self.sign_in_claim, self.sign_in_address_claim} else ()
        object.__setattr__(self, "sign_in_scopes", read_scopes(self.sign_in_scopes or ("openid", *email)))
        roles = {role: tuple(groups) for role, groups in self.sign_in_roles.items()}
        object.__setattr__(self, "sign_in_roles", roles)

    def _of_sign_in(self) -> Iterable[tuple[bool, str]]:
        """What may be wrong with the settings of sign-in: whether it is, and how to say it."""
        prefix, roles = self.sign_in_prefix, self.sign_in_roles
        lists: list[object] = [*roles.values()]  # of anything, in a file
        required: list[object] = [*self.sign_in_required.values()]
        claims = self.sign_in_groups_claim or self.sign_in_address_claim
        given = bool(self.sign_in_scopes or claims or roles or required or prefix)
        known = ", ".join(ROLES)
        return (
            (given and not self.sign_in, "has settings of sign-in without sign_in = true"),
            (
                self.sign_in and (self.issuer is None or self.token_endpoint is not None),
                "signs people in, so it needs an issuer whose metadata name its keys; leave both endpoints out",
            ),
            (
                self.sign_in and "{" in (self.metadata_issuer or ""),
                "signs people in, and its metadata_issuer stands for any tenant, so people could be mixed up; name one",
            ),
            (not self.sign_in_claim, "needs sign_in_claim to be the name of a claim, such as sub"),
            (self.sign_in_address_claim == "", "needs sign_in_address_claim to be the name of a claim, such as email"),
            (
                bool(self.sign_in_scopes) and "openid" not in self.sign_in_scopes,
                "needs openid among its sign_in_scopes, or there is no ID token (OpenID Connect Core, section 3.1.2.1)",
            ),
            (
                prefix != prefix.strip() or not prefix.isprintable() or prefix.startswith(GROUP),
                f"has the sign_in_prefix {prefix[:50]!r}; give it without blanks around it, and not {GROUP}",
            ),
            (not set(roles) <= set(ROLES), f"has sign_in_roles for another role than {known}"),
            (
                not all(
                    isinstance(each, list | tuple) and all(isinstance(name, str) for name in each) for each in lists
                ),
                "needs sign_in_roles to list the names of groups for each role, such as operator = ['admins']",
            ),
            (
                bool(roles) and self.sign_in_groups_claim is None,
                "has sign_in_roles, and no sign_in_groups_claim that says who is in what group",
            ),
            (
                not all(isinstance(value, str) and value for value in required),
                "needs sign_in_required to be a text for each claim, such as hd = 'example.com'",
            ),
        )

    @property
    def shown(self) -> str:
        """The name that people see: the title, or the name."""
        return self.title or self.name

    @property
    def mount(self) -> str | None:
        """The base URL of the routes according to the redirect URI, without a slash at its end; None if there is none."""
        for tail in (CALLBACK, f"{CALLBACK}/{self.name}"):
            if self.redirect_uri is not None and self.redirect_uri.endswith(tail):
                return self.redirect_uri.removesuffix(tail)
        return None


def _read_resource(provider: str, resource: Iterable[str]) -> tuple[str, ...]:
    """Return the resources. Raises ``InvalidArgument`` for one that is no absolute URI (RFC 8707, section 2)."""
    if isinstance(resource, str):
        raise InvalidArgument(f"The provider {provider!r} needs resource to be a list, such as [{resource[:200]!r}].")
    read = tuple(resource)
    for uri in read:
        if not _URI.fullmatch(str(uri)):
            raise InvalidArgument(
                f"The provider {provider!r} has the resource {str(uri)[:200]!r}; it is an absolute URI without a fragment."
            )
    return read


def read_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """Return the scopes in order, without duplicates. Raises ``InvalidArgument`` for a malformed one (RFC 6749, section 3.3)."""
    if isinstance(scopes, str):
        raise InvalidArgument(f"scopes is a list of names, not the text {scopes[:80]!r}.")
    read = tuple(dict.fromkeys(scopes))
    for scope in read:
        if not _SCOPE.fullmatch(scope) or len(scope) > 1_000:
            raise InvalidArgument(f"{str(scope)[:80]!r} is not a scope: scopes are printable ASCII without spaces.")
    return read


def check_url(name: str, url: str) -> str:
    """Return ``url`` if it is https, or http on this machine (RFC 8252, section 7.3). Raises ``InvalidArgument`` otherwise."""
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.port != 0 else None  # which raises ValueError for a port that is none
    except ValueError:
        parts, host = urlsplit(""), None
    if not host or parts.scheme not in {"http", "https"} or len(url) > _MAX_URL:
        raise InvalidArgument(f"{name} is {url[:200]!r}; give a URL that begins with https://")
    if parts.scheme == "http" and not is_loopback(host):
        raise InvalidArgument(f"{name} is {url[:200]!r}; a URL beyond this machine needs https.")
    if parts.fragment or parts.username is not None or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidArgument(f"{name} is {url[:200]!r}; give it without a fragment, a user name or spaces.")
    return url


def read(path: str | os.PathLike[str], environ: Mapping[str, str]) -> tuple[Provider, ...]:
    """Return the providers of a TOML file, with their secrets from ``environ``. Raises ``InvalidArgument``."""
    try:
        with Path(path).open("rb") as file:
            tables = tomllib.load(file)
    except OSError as error:
        raise InvalidArgument(f"The providers file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidArgument(f"The providers file {path} is not TOML: {error}.") from None
    return tuple(_provider(name, table, environ) for name, table in tables.items())


def _provider(name: str, table: object, environ: Mapping[str, str]) -> Provider:
    where = f"The provider {name!r}"
    if not isinstance(table, dict):
        raise InvalidArgument(f"{where} must be a table, such as [{name}].")
    settings: dict[str, Any] = dict(table)
    if "client_secret" in settings:
        raise InvalidArgument(
            f"{where} has its client_secret in the file; put it into an environment variable and name the variable in "
            "client_secret_env."
        )
    known = {each.name for each in fields(Provider)} - {"name", "client_secret"} | {"client_secret_env"}
    if unknown := sorted(set(settings) - known):
        raise InvalidArgument(f"{where} has the unknown key {unknown[0]!r}; the keys are {', '.join(sorted(known))}.")
    variable = settings.pop("client_secret_env", None)
    secret = None
    if variable is not None:
        secret = environ.get(str(variable))
        if not secret:
            raise InvalidArgument(f"{where} takes its secret from {variable}, which is not set in the environment.")
    for key, value in settings.items():
        wanted: type = _NOT_TEXT.get(key, str)
        if not isinstance(value, wanted):
            raise InvalidArgument(f"{where} needs {key} to be {_IN_TOML[wanted]}.")
    if "client_id" not in settings:
        raise InvalidArgument(f"{where} needs the client_id that it was registered with.")
    return Provider(name, client_secret=secret, **settings)


def by_name(providers: Iterable[Provider]) -> dict[str, Provider]:
    """Return the providers by name. Raises ``InvalidArgument`` if two have the same name."""
    found: dict[str, Provider] = {}
    for provider in providers:
        if provider.name in found:
            raise InvalidArgument(f"Two providers are named {provider.name!r}; give each its own name.")
        found[provider.name] = provider
    prefixes = sorted(each.sign_in_prefix for each in found.values() if each.sign_in)
    for one, other in pairwise(prefixes):
        if one == other or (one and other.startswith(one)):
            raise InvalidArgument(
                f"Two providers sign people in, with the sign_in_prefix {one!r} and {other!r}; give them prefixes of which none "
                "begins with another, so that nobody of the one is taken for somebody of the other."
            )
    return found


def is_person(name: str) -> bool:
    """Whether a text may be the id of a person who signs in: nobody's yet, and none that stands for something else."""
    sound = name == name.strip() and name.isprintable() and 0 < len(name) <= _MAX_ID
    return sound and name != LOCAL and not name.startswith(GROUP)
