"""As much HTTP/2 as an attacker needs: frames and HPACK written by hand, over a raw socket."""
import select
import socket
import ssl
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 0x1, 0x1, 0x4, 0x8
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
CANCEL = 8
MAX_FRAME_BYTES = 16384  # What every peer has to take.


BROKEN = (ConnectionError, ssl.SSLError)  # What a socket raises when the other end has closed it.


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values):
    names = {"initial_window_size": INITIAL_WINDOW_SIZE, "max_frame_size": MAX_FRAME_SIZE,
             "max_header_list_size": MAX_HEADER_LIST_SIZE}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", names[name], value) for name, value in values.items()))


def window_update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def rst(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def integer(value, prefix_bits, first=0):
    """HPACK's integer: RFC 7541, 5.1."""
    limit = (1 << prefix_bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = bytearray([first | limit]), value - limit
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes(out + bytes([value]))


def string(text):
    return integer(len(text), 7) + text


def literal(name, value, indexed=False):
    """A header by its name and value; `indexed`: the server is to remember it in its dynamic table."""
    return (b"\x40" if indexed else b"\x00") + string(name) + string(value)


STATIC_ENTRIES = 61  # The dynamic table's newest entry is number 62.


def index(number):
    return integer(number, 7, 0x80)


def call_headers(path, extra=(), indexed=False):
    """The header block of a gRPC call."""
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"localhost"),
              (b"te", b"trailers"), (b"content-type", b"application/grpc"), *extra]
    return b"".join(literal(name, value, indexed) for name, value in fields)


NUM_CALL_HEADERS = 6


def call_again():
    """The same block by index, after one that was sent `indexed`: the fewest bytes with which a call can begin."""
    return b"".join(index(STATIC_ENTRIES + NUM_CALL_HEADERS - i) for i in range(NUM_CALL_HEADERS))


def message(payload):
    return struct.pack(">BI", 0, len(payload)) + payload


def dial(address, timeout=10, receive_buffer=None, source=None):
    """A socket connected to `host:port`, `tls:host:port` or `unix:PATH`. `source`: the IPv4 address to come from."""
    if address.startswith("tls:"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # An attacker does not care who it is.
        context.set_alpn_protocols(["h2"])
        return context.wrap_socket(dial(address.removeprefix("tls:"), timeout, receive_buffer))
    is_unix = address.startswith("unix:")
    sock = socket.socket(socket.AF_UNIX if is_unix else socket.AF_INET)
    if receive_buffer is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(timeout)
    if is_unix:
        sock.connect("/" + address.removeprefix("unix:").lstrip("/"))
    else:
        if source is not None:
            sock.bind((source, 0))
        host, port = address.rsplit(":", 1)
        sock.connect((host, int(port)))
    return sock


class Closed(Exception):
    """The server has closed the connection."""


class Peer:
    """One connection to a server, up to and including the settings."""

    def __init__(self, address, receive_buffer=None, acknowledge=True, **settings_values):
        self.sock, self.bytes_sent, self._pending = dial(address, receive_buffer=receive_buffer), 0, b""
        self._windows, self._of_streams = [65535, 65535], {}  # The connection's, each stream's at first; what changed it since.
        self.send(PREFACE + settings(**settings_values))
        if acknowledge:
            self.send(frame(SETTINGS, ACK))

    def send(self, data):
        try:
            self.sock.sendall(data)
        except BROKEN as error:
            raise Closed from error
        self.bytes_sent += len(data)

    def receive(self):
        """The next frame: (kind, flags, stream, payload)."""
        while True:
            if len(self._pending) >= 9:
                size = int.from_bytes(self._pending[:3], "big")
                if len(self._pending) >= 9 + size:
                    kind, flags, stream = struct.unpack(">BBI", self._pending[3:9])
                    payload, self._pending = self._pending[9:9 + size], self._pending[9 + size:]
                    return kind, flags, stream & 0x7FFFFFFF, payload
            try:
                data = self.sock.recv(1 << 16)
            except BROKEN as error:
                raise Closed from error
            if not data:
                raise Closed
            self._pending += data

    def send_within_windows(self, stream, data):
        """Sends `data` as DATA frames, as fast as the server allows, and the call goes on. Not to be mixed with receive()."""
        sent = 0
        while sent < len(data):
            while self._windows[0] < MAX_FRAME_BYTES or self._windows[1] + self._of_streams.get(stream, 0) < MAX_FRAME_BYTES:
                self._take_window()
            piece = data[sent:sent + MAX_FRAME_BYTES]
            self.send(frame(DATA, 0, stream, piece))
            sent += len(piece)
            self._windows[0] -= len(piece)
            self._of_streams[stream] = self._of_streams.get(stream, 0) - len(piece)

    def _take_window(self):
        kind, flags, stream, payload = self.receive()
        if kind == WINDOW_UPDATE:
            increment = struct.unpack(">I", payload)[0]
            if stream == 0:
                self._windows[0] += increment
            else:
                self._of_streams[stream] = self._of_streams.get(stream, 0) + increment
        elif kind == SETTINGS and not flags & ACK:
            for number, value in struct.iter_unpack(">HI", payload):
                if number == INITIAL_WINDOW_SIZE:
                    self._windows[1] = value
            self.send(frame(SETTINGS, ACK))
        elif kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, payload))
        elif kind in (GOAWAY, RST_STREAM):
            raise Closed

    def drain(self):
        """Throws away what has come in, so that the server is never held up by us."""
        while select.select([self.sock], [], [], 0)[0]:
            try:
                data = self.sock.recv(1 << 20)
            except BROKEN as error:
                raise Closed from error
            if not data:
                raise Closed

    def is_closed(self, seconds):
        """Whether the server closes the connection within that time."""
        self.sock.settimeout(seconds)
        try:
            while self.sock.recv(1 << 20):
                pass
        except (TimeoutError, BlockingIOError):
            return False
        except BROKEN:
            pass
        return True

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
