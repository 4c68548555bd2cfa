"""Every RPC of a server as its reflection tells them, called with bytes: a new RPC is in each matrix by itself."""
import tempfile
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from grpc_tools import protoc

from wire import pb

GRPC_PROTOS = "/usr/share/grpc-proto"
CALL_SECONDS = 60
HEALTH = "grpc.health.v1.Health"
STORE = "tensord.v1.TensorStore"


def _reflection_messages():
    """(request, response) classes; in a pool of their own, because Python packages may bring the same files."""
    file = "grpc/reflection/v1/reflection.proto"
    with tempfile.NamedTemporaryFile() as target:
        assert protoc.main(["protoc", f"-I{GRPC_PROTOS}", f"--descriptor_set_out={target.name}", file]) == 0
        described = descriptor_pb2.FileDescriptorSet.FromString(Path(target.name).read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for proto in described.file:
        pool.Add(proto)
    names = ("ServerReflectionRequest", "ServerReflectionResponse")
    return [message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.reflection.v1.{n}")) for n in names]


ReflectionRequest, ReflectionResponse = _reflection_messages()


def requests(model, tensor, file):
    """A good request for each RPC, serialized; those on a model are for `model`. KeyError for an RPC that nobody has
    written one for: do so, and it is in all matrices."""
    listing = ReflectionRequest(list_services="").SerializeToString()
    named = {"model": model, "tensor": tensor}
    return {
        f"/{HEALTH}/Check": b"", f"/{HEALTH}/Watch": b"",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": listing,
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": listing,
        f"/{STORE}/ListModels": pb.ListModelsRequest().SerializeToString(),
        f"/{STORE}/ListTensors": pb.ListTensorsRequest(model=model).SerializeToString(),
        f"/{STORE}/GetMetadata": pb.GetMetadataRequest(model=model).SerializeToString(),
        f"/{STORE}/PeekTensor": pb.PeekTensorRequest(**named).SerializeToString(),
        f"/{STORE}/GetTensor": pb.GetTensorRequest(**named).SerializeToString(),
        f"/{STORE}/GetSlice": pb.GetSliceRequest(**named, slice="[0]").SerializeToString(),
        f"/{STORE}/GetTensors": pb.GetTensorsRequest(
            model=model, selections=[pb.Selection(tensor=tensor)]).SerializeToString(),
        f"/{STORE}/ReadFile": pb.ReadFileRequest(model=model, file=file).SerializeToString(),
    }


def is_on_model(method):
    """Whether the RPC's request names a model."""
    return method.startswith(f"/{STORE}/") and not method.endswith("/ListModels")


class Method:
    def __init__(self, service, descriptor):
        self.path = f"/{service}/{descriptor.name}"
        self.streams_in, self.streams_out = descriptor.client_streaming, descriptor.server_streaming

    def call(self, channel, request, metadata=()):
        """(status code, details, first answers as bytes). A stream without end is left after its first message."""
        if self.streams_in:
            call = channel.stream_stream(self.path)(iter([request]), metadata=metadata, timeout=CALL_SECONDS)
        else:
            call = channel.unary_stream(self.path)(request, metadata=metadata, timeout=CALL_SECONDS)
        answers = []
        try:
            for answer in call:
                answers.append(answer)
                if self.path.endswith("/Watch"):
                    call.cancel()
                    return grpc.StatusCode.OK, "", answers
        except grpc.RpcError as error:
            return error.code(), error.details(), answers
        return grpc.StatusCode.OK, "", answers


def reflect(channel, metadata=()):
    """All methods of all services that either version of reflection lists, by path. Their messages are alike."""
    methods = {}
    for version in ("v1", "v1alpha"):
        ask = channel.stream_stream(f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo")

        def one(ask=ask, **fields):
            request = ReflectionRequest(**fields).SerializeToString()
            answer, = ask(iter([request]), metadata=metadata, timeout=CALL_SECONDS)
            return ReflectionResponse.FromString(answer)

        for service in one(list_services="").list_services_response.service:
            files = one(file_containing_symbol=service.name).file_descriptor_response.file_descriptor_proto
            for file in map(descriptor_pb2.FileDescriptorProto.FromString, files):
                for declared in file.service:
                    if f"{file.package}.{declared.name}" == service.name:
                        methods.update({m.path: m for m in (Method(service.name, m) for m in declared.method)})
    return methods
