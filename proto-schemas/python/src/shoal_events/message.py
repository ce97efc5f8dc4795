"""What all messages have in common: an address and a JSON form."""

from typing import ClassVar, Self

import msgspec

from shoal_events.subjects import token


class InvalidMessageError(ValueError):
    """The message breaks its contract: a required field is empty, or a value is out of range."""


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A value inside a message.

    The JSON form is proto3's with the names of the `.proto` file: a field that has its default is left out,
    one that is left out has its default, unknown fields are ignored. Trees of frozen values have no cycles,
    hence `gc=False`.
    """


class Message(Part, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A message that is published on a JetStream stream."""

    stream: ClassVar[str]
    """The stream that stores it."""

    producer: ClassVar[str]
    """The service that publishes it, such as `pairing`."""

    subject_prefix: ClassVar[str]
    """The subject without its last token, such as `shoal.events.pairing.confirmed.v1`."""

    entity: ClassVar[str]
    """The name of the field that gives the subject its last token."""

    @property
    def entity_id(self) -> str:
        """Whom or what the message is about.

        Raises:
            InvalidTokenError: The id can not stand in a subject.
        """
        return token(getattr(self, self.entity))

    @property
    def subject(self) -> str:
        """Where the message is published.

        Raises:
            InvalidTokenError: The entity's id can not stand in a subject.
        """
        return f"{self.subject_prefix}.{self.entity_id}"

    def to_json(self) -> bytes:
        """The body to publish."""
        return msgspec.json.encode(self)

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Read a published body.

        Raises:
            InvalidMessageError: It is not JSON, a required field is missing, or a value has the wrong type.
        """
        try:
            return msgspec.json.decode(body, type=cls)
        except msgspec.DecodeError as error:
            raise InvalidMessageError(f"{cls.__name__}: {error}") from error


class Event(Message, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A fact in the past tense, stored in the stream `EVENTS` and sent with CloudEvents headers."""

    stream: ClassVar[str] = "EVENTS"

    event_type: ClassVar[str]
    """The header `ce-type`, such as `pairing.confirmed.v1`."""

    source: ClassVar[str]
    """The header `ce-source`, such as `/shoal/pairing`."""

    def to_json(self) -> bytes:
        """The body to publish, after reading it back: an event that breaks its contract never leaves.

        Raises:
            InvalidMessageError: A required field is empty, or a value is out of range.
        """
        body = super().to_json()
        self.from_json(body)
        return body
