#!/usr/bin/env python3
"""A small scheduler: prints what hosts report to it, and creates one VM on the first host.

    python3 test/clients/scheduler.py 127.0.0.1:7450 [spec.json]

Needs python3-grpcio and python3-protobuf. The messages come from the descriptor set proto/contract.binpb: nothing is
compiled.
"""
import hashlib
import json
import sys
import threading
import time
import uuid
from concurrent import futures
from pathlib import Path

import grpc
from google.protobuf import descriptor_pb2, json_format, message_factory

contract = Path(__file__).resolve().parents[2] / "proto" / "contract.binpb"
files = descriptor_pb2.FileDescriptorSet.FromString(contract.read_bytes())
messages = message_factory.GetMessages(files.file)

control_epoch = 1  # +1 per takeover; sent in the welcome and with every command
agents = {}  # address of the agent, by host id


def message(name):
    return messages["socle.v1." + name]


def name_of(of, field):
    """The name of an enum value in the contract."""
    return of.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(of, field)].name


def log(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\n")  # one write: threads log at the same time
    sys.stdout.flush()


def digest_of(host_etag, vms):
    """The digest of a host's state: see "Digests" in proto/README.md."""
    lines = sorted(f"vm {vm.vm_id} {vm.etag}\n" for vm in vms)
    return hashlib.sha256("".join([f"host {host_etag}\n", *lines]).encode()).hexdigest()


def session(requests, _context):
    sequence = 0
    for request in requests:
        if request.HasField("hello"):
            hello = request.hello
            log("host", hello.hostname, hello.host_id + ", agent", hello.agent_version)
            agents[hello.host_id] = hello.agent_address
            answer = message("SchedulerMessage")()  # no known_digest: the agent sends a report
            answer.welcome.heartbeat_interval.seconds = 5
            answer.welcome.control_epoch = control_epoch
            yield answer
        elif request.HasField("delta"):
            for vm in request.delta.changed_vms:
                log("vm", vm.name, name_of(vm, "state"))
            yield message("SchedulerMessage")(
                ack={"generation": request.delta.generation, "event_sequence": sequence}
            )
        elif request.HasField("heartbeat"):
            log("heartbeat", request.heartbeat.heartbeat_sequence, "generation", request.heartbeat.generation)
        for event in request.events.events:
            log("event", event.sequence, name_of(event, "kind"), event.vm_name, event.reason)
            sequence = event.sequence
            yield message("SchedulerMessage")(ack={"event_sequence": sequence})


def report(parts, _context):
    parts = list(parts)
    first, last = parts[0], parts[-1]
    vms = [vm for part in parts for vm in part.vms]
    digest = digest_of(first.host.etag, vms)
    log("report of", len(vms), "VMs, digest", "agrees" if digest == last.digest else "differs")
    if len(sys.argv) > 2 and agents.get(last.host_id):
        threading.Thread(target=create, args=(agents[last.host_id], sys.argv.pop(2)), daemon=True).start()
    return message("ReportResponse")(digest=digest, generation=first.position.generation)


def create(agent, spec_file):
    spec = json.loads(Path(spec_file).read_text())
    request = json_format.ParseDict({"requestId": str(uuid.uuid4()), "spec": spec}, message("CreateVmRequest")())
    with grpc.insecure_channel(agent) as channel:

        def call(method, request):
            encode, decode = type(request).SerializeToString, message("Operation").FromString
            metadata = [("socle-control-epoch", str(control_epoch))]
            send = channel.unary_unary("/socle.v1." + method, encode, decode)
            return send(request, timeout=130, metadata=metadata)

        while True:
            try:
                # The same request id and spec return the same operation. So the request can be sent again when the
                # host is not ready, or when its answer was lost.
                begun = call("VmService/CreateVm", request)
                wait = message("WaitOperationRequest")(operation_id=begun.operation_id, timeout={"seconds": 120})
                ended = call("OperationService/WaitOperation", wait)
                log("created", ended.vm_id, name_of(ended, "state"), ended.error.message)
                return
            except grpc.RpcError as error:
                log("refused:", error.code().name, error.details())
                for detail in details_of(error):
                    log("refused because", " ".join(str(detail).split()))
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    return
            time.sleep(2)


def details_of(error):
    """The google.rpc details of an error: always ErrorInfo, sometimes RetryInfo and BadRequest."""
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for packed in messages["google.rpc.Status"].FromString(value).details:
                yield messages[packed.type_url.split("/")[-1]].FromString(packed.value)


def main():
    address = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:7450"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    methods = {
        "Session": grpc.stream_stream_rpc_method_handler(
            session, message("AgentMessage").FromString, message("SchedulerMessage").SerializeToString
        ),
        "Report": grpc.stream_unary_rpc_method_handler(
            report, message("ReportPart").FromString, message("ReportResponse").SerializeToString
        ),
    }
    handler = grpc.method_handlers_generic_handler("socle.v1.SchedulerService", methods)
    server.add_generic_rpc_handlers((handler,))
    log("listening on port", server.add_insecure_port(address))
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
