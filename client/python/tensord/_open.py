"""safe_open and load_file: the reference's way to read a file, for a server's model."""

from __future__ import annotations

import importlib
import importlib.util
import os
from types import TracebackType
from typing import Any

from ._address import is_url, parse_url
from ._client import Client
from ._core import ModelInfo, TensorInfo
from ._errors import BadRequestError, TensorNotFoundError, make_error
from ._frameworks import converter
from ._index import WHOLE, parse_index
from ._progress import Progress
from ._source import ShardOfModel

# No metadata value is longer: a header has at most 100,000,000 bytes.
_ALL_METADATA = 1 << 30

_REFERENCE_BACKENDS = ("mmap", "pread")


class safe_open:
    """Opens a model on a server, with the methods of `safetensors.safe_open`.

    Args:
        filename: `tensord://HOST:PORT/MODEL`, `tensord:///MODEL` (the server that TENSORD_ADDRESS names), or
            `tensord+unix:///PATH/OF.sock/MODEL`. Any other path is opened by safetensors itself, which must be installed.
        framework: What tensors are made: "pt" ("torch", "pytorch"), "np" ("numpy"), "jax" ("flax"), "tf" ("tensorflow"),
            "mlx" or "paddle".
        device: Where they are put, for torch and paddle.
        backend: Accepted for the reference's sake; without effect.
        version: Open this version of the model only; default: the one that it has now. All reads are of the one version:
            where the model is replaced meanwhile they raise VersionChangedError.
        client: Use this connection, and leave it open, instead of making one; the URL's address is not looked at then.
        options: Of a connection of its own, see Client: timeout, checksum, retry and so on.

    Raises:
        ModelNotFoundError, which is a FileNotFoundError; ModelStateError, an OSError, for a file that is invalid;
        UnavailableError, a ConnectionError; TensordError for a framework that there is not.

    Thread-safe. Nothing but the bytes that are asked for travels, and no tensor shares memory with another.
    """

    def __new__(cls, filename: Any, *args: Any, **kwargs: Any) -> Any:
        if is_url(filename) or kwargs.get("client") is not None:
            return super().__new__(cls)
        return _reference("safetensors").safe_open(filename, *args, **kwargs)

    def __init__(
        self,
        filename: str | os.PathLike[str],
        framework: str = "np",
        device: str | int = "cpu",
        *,
        backend: str = "mmap",
        version: str | None = None,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        if backend not in _REFERENCE_BACKENDS:
            raise BadRequestError(f"backend {backend!r} is none of {_REFERENCE_BACKENDS}", "INVALID_ARGUMENT")
        convert = converter(framework, device)
        self._open = True
        self._owned = client is None
        self._client = Client(filename, **options) if client is None else client
        model = parse_url(filename).model if is_url(filename) else os.fspath(filename)
        self._listed: dict[str, TensorInfo] | None = None
        self._metadata: ModelInfo | None = None
        try:
            # Few bytes whatever the model has; the version then holds for everything.
            if not model:
                raise BadRequestError(f"{filename!r} names no model", "INVALID_ARGUMENT", "BAD_REQUEST")
            info = self._client.get_metadata(model=model, keys=["tensord"], max_value_bytes=1, version=version)
            _check_state(info)
        except BaseException:
            self.close()
            raise
        self.version: str = info.version
        self.model: str = info.id
        self._source = self._client._source(info.id, convert, info.version)

    def __enter__(self) -> safe_open:
        self._check_open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tensord.safe_open of {self.model} at {self._client.address}{'' if self._open else ', closed'}>"

    def close(self) -> None:
        """What leaving the context does. Later calls raise FileClosedError."""
        if self._open and self._owned:
            self._client.close()
        self._open = False

    def keys(self) -> list[str]:
        """Names of all tensors, sorted bytewise as the reference does."""
        return sorted(self._infos(), key=lambda name: name.encode("utf-8", "surrogatepass"))

    def offset_keys(self) -> list[str]:
        """Names of all tensors in the order in which they lie in the files."""
        infos = self._infos()
        return sorted(infos, key=lambda name: (infos[name].file, infos[name].offset_bytes))

    def metadata(self) -> dict[str, str] | None:
        """The file's `__metadata__`, or None where it has none; of several files, each key's first value."""
        self._check_open()
        if self._metadata is None:
            self._metadata = self._client.get_metadata(
                model=self.model, max_value_bytes=_ALL_METADATA, version=self.version
            )
        found = [file.metadata for file in self._metadata.files if file.metadata is not None]
        if not found:
            return None
        return {key: value for metadata in reversed(found) for key, value in metadata.items()}

    def get_shape(self, name: str) -> list[int]:
        """A tensor's shape."""
        return list(self._info(name).shape)

    def get_dtype(self, name: str) -> str:
        """A tensor's dtype as the file spells it, e.g. "BF16"."""
        return str(self._info(name).dtype)

    def get_tensor(self, name: str) -> Any:
        """The whole tensor."""
        self._check_open()
        return self._source.get(name, WHOLE)

    def get_tensors(self, *, progress: Progress = None) -> dict[str, Any]:
        """All tensors by name, in one stream."""
        self._check_open()
        return self._load(progress)

    def get_slice(self, name: str) -> SafeSlice:
        """A tensor to be indexed; only what the index selects travels."""
        return SafeSlice(self, self._info(name))

    @property
    def client(self) -> Client:
        """The connection, for everything that the reference has no method for."""
        return self._client

    def _load(self, progress: Progress, shard: ShardOfModel = None) -> dict[str, Any]:
        """A model without tensors, which no pattern matches, is an empty dict as in the reference."""
        return self._source.load("*", shard, progress) if self._infos() else {}

    def _check_open(self) -> None:
        if not self._open:
            raise make_error("FAILED_PRECONDITION", "CLOSED", "File is closed")

    def _infos(self) -> dict[str, TensorInfo]:
        self._check_open()
        if self._listed is None:
            listing = self._client.list_tensors(model=self.model, version=self.version)
            self._listed = {info.name: info for info in listing.tensors}
        return self._listed

    def _info(self, name: str) -> TensorInfo:
        """Asks for the one tensor where nobody has asked for all of them."""
        self._check_open()
        if self._listed is None:
            return self._client.get_tensor_info(name, model=self.model, version=self.version)
        if name not in self._listed:
            message = f"File does not contain tensor {name}"
            raise make_error("NOT_FOUND", "TENSOR_NOT_FOUND", message) from TensorNotFoundError(message)
        return self._listed[name]


class SafeSlice:
    """A tensor on the server. `slice[index]` fetches what the index selects; see Client.get_tensor for indices."""

    def __init__(self, file: safe_open, info: TensorInfo) -> None:
        self._file = file
        self._info = info

    def get_shape(self) -> list[int]:
        """Of the whole tensor."""
        return list(self._info.shape)

    def get_dtype(self) -> str:
        """As the file spells it."""
        return str(self._info.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the whole tensor."""
        return self._info.shape

    def __getitem__(self, index: Any) -> Any:
        file = self._file
        file._check_open()
        return file._source.get(self._info.name, parse_index(index, self._info.shape))

    def __repr__(self) -> str:
        return f"<tensord.SafeSlice of {self._info.name}: {self._info.dtype} {list(self._info.shape)}>"


def load_file(
    filename: str | os.PathLike[str],
    device: str | int = "cpu",
    *,
    framework: str = "np",
    backend: str = "mmap",
    shard: ShardOfModel = None,
    progress: Progress = None,
    **options: Any,
) -> dict[str, Any]:
    """All tensors of a model by name, in one stream.

    Args:
        filename: As safe_open's. Any other path is loaded by safetensors itself.
        device: As safe_open's.
        framework: As safe_open's; `tensord.torch.load_file` and its siblings say it for you.
        backend: Without effect.
        shard: (dim, rank, world), or (dim, Shard(...)): only this rank's part; see Client.iterate.
        progress: See Client.read_many.
        options: See safe_open.
    """
    if not is_url(filename) and options.get("client") is None:
        with _reference("safetensors").safe_open(filename, framework, device, backend=backend) as file:
            found: dict[str, Any] = file.get_tensors()
            return found
    with safe_open(filename, framework, device, backend=backend, **options) as file:
        return file._load(progress, shard)


def _check_state(info: ModelInfo) -> None:
    """A file whose header is invalid does not open, as in the reference; a model of which a part is missing does."""
    if info.state == "INVALID" and info.problems:
        problem = info.problems[0]
        text = f"{problem.file}: {problem.message}" if problem.file else problem.message
        raise make_error("FAILED_PRECONDITION", problem.reason, f"model {info.id!r} cannot be read: {text}")


def _reference(name: str) -> Any:
    if importlib.util.find_spec("safetensors") is None:
        raise ModuleNotFoundError("paths of this machine are read by safetensors: pip install safetensors")
    return importlib.import_module(name)
