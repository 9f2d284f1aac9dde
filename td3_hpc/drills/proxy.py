"""A TCP proxy in front of a simulator, which can swallow what it answers."""

import contextlib
import selectors
import socket
import threading


class Proxy:
    """Passes connections on to a port of this machine, until told to swallow: then the client waits for ever.

    Only connections that exist at that moment are struck; a client that connects anew is served.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._connections: list[tuple[socket.socket, socket.socket]] = []
        self._struck: set[socket.socket] = set()
        self.answers = 0
        """How many pieces the simulator's answers came in so far."""
        self._lock = threading.Lock()
        self._closed = False
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def swallow(self) -> int:
        """From now on nothing that the simulator says on its present connections arrives; how many there are."""
        with self._lock:
            self._struck.update(server for _, server in self._connections)
            return len(self._connections)

    def close(self) -> None:
        """End all connections."""
        self._closed = True
        with self._lock:
            for ends in self._connections:
                for end in ends:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target))
            with self._lock:
                self._connections.append((client, server))
            threading.Thread(target=self._pump, args=(client, server), name="proxy", daemon=True).start()

    def _pump(self, client: socket.socket, server: socket.socket) -> None:
        other = {client: server, server: client}
        with contextlib.suppress(OSError), selectors.DefaultSelector() as selector, client, server:
            for end in other:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(end, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    end = client if key.fileobj is client else server
                    data = end.recv(1 << 16)
                    if not data:
                        return
                    self.answers += end is server
                    if end not in self._struck:
                        other[end].sendall(data)
