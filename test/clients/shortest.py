#!/usr/bin/env python3
"""The shortest scheduler: prints the VMs of each host that connects.

    python3 test/clients/shortest.py 127.0.0.1:7450
"""
import sys
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, message_factory

contract = Path(__file__).resolve().parents[2] / "proto" / "contract.binpb"
files = descriptor_pb2.FileDescriptorSet.FromString(contract.read_bytes())
kinds = message_factory.GetMessages(files.file)


def message(name):
    return kinds["socle.v1." + name]


def show(vms):
    for vm in vms:
        print("vm", vm.vm_id, vm.name, flush=True)


def session(requests, _context):
    answer = message("SchedulerMessage")
    for request in requests:
        if request.HasField("hello"):
            # No known_digest: the agent sends a report.
            yield answer(welcome={"heartbeat_interval": {"seconds": 5}, "control_epoch": 1})
        elif request.HasField("delta"):
            show(request.delta.changed_vms)
            yield answer(ack={"generation": request.delta.generation})


def report(parts, _context):
    for part in parts:
        show(part.vms)
    # A scheduler that keeps the state computes this digest itself: see "Digests" in proto/README.md.
    return message("ReportResponse")(digest=part.digest, generation=part.position.generation)


server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
methods = {
    "Session": grpc.stream_stream_rpc_method_handler(
        session, message("AgentMessage").FromString, message("SchedulerMessage").SerializeToString
    ),
    "Report": grpc.stream_unary_rpc_method_handler(
        report, message("ReportPart").FromString, message("ReportResponse").SerializeToString
    ),
}
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("socle.v1.SchedulerService", methods),))
print("port", server.add_insecure_port(sys.argv[1]), flush=True)
server.start()
server.wait_for_termination()
