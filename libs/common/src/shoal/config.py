"""Configuration: one frozen Struct per service, read from the environment, all errors told at once.

A field `token_ttl` of the service `pairing` is read from `PAIRING_TOKEN_TTL`; a field whose annotation names shared
variables (`shared("SHOAL_NATS_URL")`) falls back to them. Every variable may instead be given as `<NAME>_FILE`, the
path of a file that holds the value, which is how secrets arrive in containers.
"""

import ipaddress
import re
import ssl
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import Meta, Struct

from shoal.reasons import reason
from shoal.variables import written

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_LEVELS = ("debug", "info", "warning", "error")
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


class Secret:
    """Text that never shows itself in a representation, a log line or an error."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "***"

    def reveal(self) -> str:
        """Give the text to whoever must send it."""
        return self._text


class Variable(Struct, frozen=True):
    """What a field's annotation says of the variable that it is read from."""

    shared: tuple[str, ...] = ()
    check: Callable[[str], None] | None = None


def shared(*names: str, check: Callable[[str], None] | None = None) -> Any:
    """Mark a field as falling back to these variables, in order.

    Args:
        names: The variables, shared by all services.
        check: Raises `ValueError` when a text will not do; must not repeat the text of a secret.
    """
    return Meta(extra={"variable": Variable(names, check)})


class ConfigError(Exception):
    """The configuration does not hold; says everything that is wrong with it, a line each."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


def check_postgres_url(text: str) -> None:
    """Refuse what is no address of PostgreSQL.

    Raises:
        ValueError: It is not; says how one reads, without repeating it.
    """
    _url(text, "postgresql://role:password@host:port/database", {"postgresql", "postgres"})


def check_public_url(text: str) -> None:
    """Refuse what is no address that a browser could open.

    Raises:
        ValueError: It is not; says how one reads.
    """
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{text!r} must read https://host or http://host:port, as browsers reach the gateway")


def check_nats_url(text: str) -> None:
    """Refuse what is no address of NATS.

    Raises:
        ValueError: It is not; says how one reads, without repeating it.
    """
    _url(text, "nats://user:password@host:port", {"nats", "tls", "ws", "wss"})


def check_networks(text: str) -> None:
    """Refuse what is no list of networks.

    Raises:
        ValueError: It is not; says how one reads.
    """
    for part in text.split(","):
        try:
            ipaddress.ip_network(part.strip() or "0.0.0.0/0", strict=False)
        except ValueError:
            raise ValueError(f"{part.strip()!r} is no network such as 10.0.0.0/8, separated by commas") from None


def check_plans(text: str) -> None:
    """Refuse what does not give limits by plan.

    Raises:
        ValueError: It does not; says how they read.
    """
    try:
        msgspec.json.decode(text, type=dict[str, dict[str, int | None]])
    except msgspec.DecodeError:
        raise ValueError('must hold a JSON object from plan to limits, such as {"free": {"max_agents": 3}}') from None


def _url(text: str, form: str, schemes: set[str]) -> None:
    try:
        parts = urlsplit(text)
        has_place = bool(parts.netloc or parts.query)  # a socket's folder stands in the query
        fits = parts.scheme in schemes and has_place and ("," in parts.netloc or parts.port != 0)
    except ValueError:
        fits = False
    if not fits:  # the text may hold a password
        raise ValueError(f"must read {form}, special characters of the password as %XX") from None


def _private_key(text: str) -> None:
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("must hold an Ed25519 private key as PEM")  # noqa: TRY004 - a value, as all checks say


def _object_of_texts(text: str) -> None:
    try:
        msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError:
        raise ValueError('must hold a JSON object of texts, such as {"name": "text"}') from None


def _certificates(text: str) -> None:
    try:
        ssl.create_default_context(cafile=text)
    except ssl.SSLError:
        raise ValueError(f"{text} holds no certificate as PEM") from None


def _log_level(text: str) -> None:
    if text.lower() not in _LEVELS:
        raise ValueError(f"{text!r} is none of {', '.join(_LEVELS)}")


class ServiceConfig(Struct, frozen=True, kw_only=True):
    """What every service is told."""

    database_url: Annotated[Secret, shared("SHOAL_DATABASE_URL", check=check_postgres_url)]
    """PostgreSQL as this service's working role: `postgresql://role:password@host:port/database`."""
    nats_url: Annotated[Secret, shared("SHOAL_NATS_URL", check=check_nats_url)]
    """NATS as this service's user: `nats://user:password@host:port`."""
    nats_ca: Annotated[Path | None, shared("SHOAL_NATS_CA", check=_certificates)] = None
    """The certificates (PEM) of who may have signed NATS' own; without it, those that the machine trusts."""
    identity_key: Annotated[Secret, shared(check=_private_key)]
    """This service's private Ed25519 key (PEM), by which it signs its calls to others."""
    identity_keys: Annotated[str, shared("SHOAL_IDENTITY_KEYS", check=_object_of_texts)]
    """Public keys of every issuer: a JSON object from issuer to PEM."""
    host: Annotated[str, shared("SHOAL_HOST")] = "127.0.0.1"
    """Address to listen on."""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """Port to listen on; 0 takes the service's usual one."""
    database_pool: Annotated[int, shared("SHOAL_DATABASE_POOL"), Meta(ge=1)] = 10
    """Connections to PostgreSQL that this process may hold."""
    services: Annotated[str, shared("SHOAL_SERVICES", check=_object_of_texts)] = "{}"
    """Where the other services answer: a JSON object from service name to `host:port`."""
    stream_replicas: Annotated[int, shared("SHOAL_STREAM_REPLICAS"), Meta(ge=1, le=5)] = 1
    """On how many NATS servers each stream is kept: 3 on a cluster of three."""
    drain_delay: Annotated[timedelta, shared("SHOAL_DRAIN_DELAY")] = timedelta(0)
    """How long readiness is already down before the server stops taking requests."""
    drain_timeout: Annotated[timedelta, shared("SHOAL_DRAIN_TIMEOUT")] = timedelta(seconds=10)
    """How long requests under way may still run once the server stops taking new ones."""
    log_level: Annotated[str, shared("SHOAL_LOG_LEVEL", check=_log_level)] = "info"
    """The least severe line that is written: debug, info, warning or error."""
    log_requests: Annotated[bool, shared("SHOAL_LOG_REQUESTS")] = True
    """Whether requests that went well get a line too."""
    trace_ratio: Annotated[float, shared("SHOAL_TRACE_RATIO"), Meta(ge=0, le=1)] = 1.0
    """Share of traces recorded when an OTLP endpoint is set."""


C = TypeVar("C", bound=Struct)


def load(config: type[C], prefix: str, environment: Mapping[str, str]) -> C:
    """Read a service's configuration.

    Args:
        config: The frozen Struct to fill.
        prefix: The service's prefix, such as `PAIRING`.
        environment: Variables by name.

    Raises:
        ConfigError: Something is missing or malformed; names every such variable and what it should hold.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    hints = typing.get_type_hints(config, include_extras=True)
    for field in msgspec.structs.fields(config):
        variable = _variable(hints[field.name])
        names = (f"{prefix}_{field.name.upper()}", *variable.shared)
        try:
            found = look_up(names, environment)
            if found is None:
                if field.required:
                    problems.append(f"{' or '.join(names)} is not set")
                continue
            if variable.check is not None:
                variable.check(found)
            values[field.name] = _convert(found, hints[field.name])
        except (ValueError, OSError) as error:
            problems.append(f"{_source(names, environment) or names[0]}: {reason(error)}")
    if problems:
        raise ConfigError(problems)
    return config(**values)


def explain(config: type[Struct], prefix: str, environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """List every variable of a configuration with where its value comes from and the value, as it would be given.

    Where it comes from is a variable, `default`, or `required` where there is none; secrets are hidden.
    """
    hints = typing.get_type_hints(config, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(config):
        names = (f"{prefix}_{field.name.upper()}", *_variable(hints[field.name]).shared)
        source = _source(names, environment)
        if source is None:
            rows.append((names[0], "required" if field.required else "default", written(_default(field))))
        elif _plain(hints[field.name]) is Secret:
            rows.append((names[0], source, "***"))
        else:
            rows.append((names[0], source, written(environment.get(source) or environment.get(f"{source}_FILE"))))
    return rows


def names_of(config: type[Struct], prefix: str) -> set[str]:
    """Name every variable that a configuration is read from; each may be given as `<NAME>_FILE` too."""
    hints = typing.get_type_hints(config, include_extras=True)
    return {
        name
        for field in msgspec.structs.fields(config)
        for name in (f"{prefix}_{field.name.upper()}", *_variable(hints[field.name]).shared)
    }


def parse_duration(text: str) -> timedelta:
    """Read `30m`, `1h30m`, `250ms` or plain seconds.

    Raises:
        ValueError: The text is none of these.
    """
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return timedelta(seconds=float(text))
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 30m, 1h30m or 250ms")
    return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in parts))


def look_up(names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Find the first of these variables that is set, itself or as the path of a file.

    Raises:
        OSError: The file cannot be read.
    """
    for name in names:
        if name in environment:
            return environment[name]
        if path := environment.get(f"{name}_FILE"):
            return Path(path).read_text(encoding="utf-8").rstrip("\n")
    return None


def _source(names: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Name the first of these variables that is set, itself or as the path of a file."""
    return next((name for name in names if name in environment or environment.get(f"{name}_FILE")), None)


def _variable(hint: Any) -> Variable:
    for mark in getattr(hint, "__metadata__", ()):
        if isinstance(mark, Meta) and mark.extra and "variable" in mark.extra:
            found: Variable = mark.extra["variable"]
            return found
    return Variable()


def _default(field: msgspec.structs.FieldInfo) -> object:
    if field.required:
        return None
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def _plain(hint: Any) -> Any:
    plain = hint.__origin__ if typing.get_origin(hint) is Annotated else hint
    if typing.get_origin(plain) in {types.UnionType, typing.Union}:
        return next(option for option in typing.get_args(plain) if option is not type(None))
    return plain


def _convert(text: str, hint: Any) -> Any:
    plain = _plain(hint)
    if plain is timedelta:
        return parse_duration(text)
    if plain is bool:
        if text.lower() not in _TRUE | _FALSE:
            raise ValueError(f"{text!r} is neither true nor false")
        return text.lower() in _TRUE
    if plain in {str, Secret, Path}:
        return plain(text)
    if typing.get_origin(plain) is tuple:
        item = typing.get_args(plain)[0]
        return tuple(_convert(part.strip(), item) for part in text.split(",") if part.strip())
    try:
        return msgspec.convert(text, hint, strict=False)
    except msgspec.ValidationError as error:
        raise ValueError(f"{text!r} will not do: {_in_words(str(error))}") from None


def _in_words(refusal: str) -> str:
    """Say what msgspec expected without the names of Python's types."""
    expected = refusal.partition(", got")[0].replace("Expected", "it must be")
    return expected.replace("`int`", "a whole number").replace("`float`", "a number").replace("`str`", "a text")
