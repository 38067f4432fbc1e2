"""Asks an agent for a service by gRPC reflection and builds it with protobuf's own library, which takes nothing that
is incomplete: python3 reflect.py ADDRESS SERVICE"""
import sys
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

contract = Path(__file__).resolve().parents[2] / "proto" / "contract.binpb"
own = message_factory.GetMessages(descriptor_pb2.FileDescriptorSet.FromString(contract.read_bytes()).file)
Request = own["grpc.reflection.v1.ServerReflectionRequest"]
Response = own["grpc.reflection.v1.ServerReflectionResponse"]

address, service = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    ask = channel.stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", Request.SerializeToString, Response.FromString
    )
    answer = next(ask(iter([Request(file_containing_symbol=service)]), timeout=10))

files = [
    descriptor_pb2.FileDescriptorProto.FromString(file)
    for file in answer.file_descriptor_response.file_descriptor_proto
]
pool = descriptor_pool.DescriptorPool()
waiting = list(files)
while waiting:
    known = [file for file in waiting if all(name not in [f.name for f in waiting] for name in file.dependency)]
    for file in known:
        pool.Add(file)
        waiting.remove(file)
found = pool.FindServiceByName(service)
print(found.full_name, "in", files[0].name)
first = found.methods[0]
print(f"{first.name}({first.input_type.full_name}) returns {first.output_type.full_name}")
