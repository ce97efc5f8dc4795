"""The way to browsers: their sockets, and the channel that they are."""

from collections.abc import Callable
from functools import cached_property

from agent_runtime import ports
from agent_runtime.channels.usecases import ChannelWatch, NotedFrames, WebAdapter
from agent_runtime.config import Config
from agent_runtime.sockets.instruments import Instruments as SocketInstruments
from agent_runtime.sockets.usecases.audiences import Audiences
from agent_runtime.sockets.usecases.credentials import Credentials
from agent_runtime.sockets.usecases.dialogues import CanvasDialogue, ChatDialogue, PageDialogue
from agent_runtime.sockets.usecases.entrance import Receive
from agent_runtime.sockets.usecases.means import Means
from agent_runtime.sockets.usecases.slots import Slots
from agent_runtime.sockets.usecases.socket import Send, Socket
from agent_runtime.sockets.usecases.sockets import Sockets
from agent_runtime.sockets.usecases.speaking import Subjects
from agent_runtime.voice.usecases import SpokenFrames
from shoal.identity import Principal
from shoal.resources import Resources


class BrowserFactory:
    """Makes what tells browsers, and what hears them.

    Args:
        resources: The process's.
        about: Makes whom sockets ask; asked for each socket, since those tell browsers themselves.
        traffics: Makes the count of what went through channels.
    """

    def __init__(
        self, resources: Resources[Config], *, about: Callable[[], Subjects], traffics: Callable[[], ports.Traffics]
    ) -> None:
        self.resources = resources
        self._about = about
        self._traffics = traffics

    @cached_property
    def frames(self) -> ports.Frames:
        """The one way to browsers; of what is said the channel `web` and spoken conversations hear too."""
        return SpokenFrames(NotedFrames(self.audiences, self.channel_watch))

    @cached_property
    def audiences(self) -> Audiences:
        """Who listens in this process, by account and topic."""
        resources = self.resources
        return Audiences(resources.bus, resources.clock, self.socket_instruments, process=resources.process)

    @cached_property
    def socket_instruments(self) -> SocketInstruments:
        """The instruments of sockets; a registry takes each once."""
        return SocketInstruments(self.resources.metrics.registry)

    @cached_property
    def sockets(self) -> Sockets:
        """Every open socket of this process."""
        every = self.resources.config.socket_revalidate_every
        return Sockets(self.socket_credentials(), self.resources.clock, revalidate_every=every)

    @cached_property
    def slots(self) -> Slots:
        """How many sockets there are, over all processes."""
        config = self.resources.config
        return Slots(
            self.resources.database,
            self.sockets,
            process=self.resources.process,
            sockets_per_user=config.sockets_per_user,
            beat=config.socket_beat,
            silent_for=config.socket_silent_for,
            on_change=self._note_change,
        )

    @cached_property
    def web_channel(self) -> WebAdapter:
        """The channel `web`: sockets of all processes, and messages that came over them."""
        return WebAdapter(self.slots, self._traffics())

    @cached_property
    def channel_watch(self) -> ChannelWatch:
        """Tells browsers when the web channel changes."""
        return ChannelWatch(self.web_channel, self.audiences)

    def _note_change(self, account_id: str) -> None:
        # not `channel_watch.note` itself: the watch asks the slots, which are made with this
        self.channel_watch.note(account_id)

    def socket_credentials(self) -> Credentials:
        """Make what asks the gateway who stands behind a token."""
        return Credentials(self.resources.peers)

    def page_socket(self, receive: Receive, send: Send, principal: Principal) -> Socket:
        """Make one socket of `/ws`."""
        about = self._about()
        return Socket(self._socket_means(), receive, send, principal, lambda speaker: PageDialogue(speaker, about))

    def canvas_socket(self, receive: Receive, send: Send, principal: Principal) -> Socket:
        """Make one socket of `/ws/canvas`."""
        about = self._about()
        return Socket(self._socket_means(), receive, send, principal, lambda speaker: CanvasDialogue(speaker, about))

    def chat_socket(self, receive: Receive, send: Send, principal: Principal, session_key: str) -> Socket:
        """Make one socket of `/ws/chat/{session}`."""
        about = self._about()
        return Socket(
            self._socket_means(), receive, send, principal, lambda speaker: ChatDialogue(speaker, about, session_key)
        )

    def _socket_means(self) -> Means:
        config = self.resources.config
        return Means(
            clock=self.resources.clock,
            credentials=self.socket_credentials(),
            sockets=self.sockets,
            slots=self.slots,
            audiences=self.audiences,
            instruments=self.socket_instruments,
            auth_timeout=config.socket_auth_timeout,
            messages_per_second=config.socket_messages_per_second,
            quiet_for=config.socket_quiet_for,
        )
