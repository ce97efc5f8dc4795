"""Refusals of voice.

The web UI reads a text at `error` when speech was refused; that is why these are told in a body of their own
(`controllers.respond_in_words`).
"""

from shoal.errors import AppError, BadRequestError


class SpokenByBrowserError(BadRequestError):
    """The browser itself speaks: the provider is `browser`."""

    code = "spoken_by_browser"


class NothingToSayError(BadRequestError):
    """There is no text."""

    code = "nothing_to_say"


class ProviderUnknownError(BadRequestError):
    """No such provider is configured or enabled."""

    code = "provider_unknown"


class KeyMissingError(AppError):
    """The provider has no API key; an admin can store one."""

    code = "key_missing"
    status = 500


class SpeechFailedError(AppError):
    """The provider made no speech of it."""

    code = "speech_failed"
    status = 502
