// A small scheduler: prints what hosts report to it, and creates one VM on the first host.
//
//   node --import tsx test/clients/scheduler.ts 127.0.0.1:7450 [spec.json]
import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import type { ProtoGrpcType as OperationProtos } from "../../agent/gen/operation.ts";
import type { ProtoGrpcType as SchedulerProtos } from "../../agent/gen/scheduler.ts";
import type { AgentMessage__Output } from "../../agent/gen/socle/v1/AgentMessage.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { ReportPart__Output } from "../../agent/gen/socle/v1/ReportPart.ts";
import type { SchedulerServiceHandlers } from "../../agent/gen/socle/v1/SchedulerService.ts";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import type { ProtoGrpcType as VmProtos } from "../../agent/gen/vm.ts";

const protos = grpc.loadPackageDefinition(
  loadSync(["socle/v1/scheduler.proto", "socle/v1/operation.proto", "socle/v1/vm.proto"], {
    longs: Number,
    enums: String,
    defaults: true,
    oneofs: true,
    includeDirs: [fileURLToPath(new URL("../../proto", import.meta.url))],
  }),
  // grpc-js returns untyped definitions; the generated types describe them.
) as unknown as OperationProtos & SchedulerProtos & VmProtos;
const { OperationService, SchedulerService, VmService } = protos.socle.v1;

// +1 per takeover; sent in the welcome and with every command.
const controlEpoch = 1;
const [address = "127.0.0.1:7450", specFile] = process.argv.slice(2);
const agents = new Map<string, string>();
let toCreate = specFile;

const handlers: SchedulerServiceHandlers = {
  Session(call) {
    let eventSequence = 0;
    call.on("data", ({ hello, delta, heartbeat, events }: AgentMessage__Output) => {
      if (hello != null) {
        console.log(`host ${hello.hostname} ${hello.hostId}, agent ${hello.agentVersion}`);
        agents.set(hello.hostId, hello.agentAddress);
        // No knownDigest: the agent sends a report.
        call.write({ welcome: { heartbeatInterval: { seconds: 5 }, controlEpoch } });
      } else if (delta != null) {
        for (const vm of delta.changedVms) console.log(`vm ${vm.name} ${vm.state}`);
        call.write({ ack: { generation: delta.generation, eventSequence } });
      } else if (heartbeat != null) {
        console.log(`heartbeat ${heartbeat.heartbeatSequence} generation ${heartbeat.generation}`);
      }
      for (const event of events?.events ?? []) {
        console.log(`event ${event.sequence} ${event.kind} ${event.vmName} ${event.reason}`);
        eventSequence = event.sequence;
        call.write({ ack: { eventSequence } });
      }
    });
    call.on("end", () => call.end());
    call.on("error", () => undefined);
  },

  Report(call, answer) {
    const parts: ReportPart__Output[] = [];
    call.on("data", (part: ReportPart__Output) => {
      parts.push(part);
      if (!part.last) return;
      const vms = parts.flatMap((each) => each.vms);
      const digest = digestOf(parts[0]?.host?.etag ?? "", vms);
      const generation = part.position?.generation ?? 0;
      console.log(`report of ${vms.length} VMs, digest ${digest === part.digest ? "agrees" : "differs"}`);
      answer(null, { digest, generation });
      const agent = agents.get(part.hostId) ?? "";
      if (toCreate !== undefined && agent !== "") create(agent, toCreate);
      toCreate = undefined;
    });
  },
};

/** The digest of a host's state: see "Digests" in proto/README.md. */
function digestOf(hostEtag: string, vms: readonly Vm__Output[]): string {
  const lines = vms.map(({ vmId, etag }) => `vm ${vmId} ${etag}\n`).sort();
  return createHash("sha256")
    .update(`host ${hostEtag}\n${lines.join("")}`)
    .digest("hex");
}

function create(agent: string, file: string): void {
  const spec = JSON.parse(readFileSync(file, "utf8")) as object;
  const vms = new VmService(agent, grpc.credentials.createInsecure());
  const operations = new OperationService(agent, grpc.credentials.createInsecure());
  const ended = (error: grpc.ServiceError | null, operation?: Operation__Output): void => {
    if (error !== null) console.log(`refused: ${error.details}`);
    else
      console.log(
        `created ${operation?.vmId ?? ""} ${operation?.state ?? ""} ${operation?.error?.message ?? ""}`,
      );
  };
  const command = new grpc.Metadata();
  command.set("socle-control-epoch", String(controlEpoch));
  // The same request id and spec return the same operation. So the request can be sent again when the host is not
  // ready, or when its answer was lost.
  const request = { requestId: randomUUID(), spec };
  const send = (): void => {
    vms.createVm(request, command, (error, begun) => {
      if (error?.code === grpc.status.UNAVAILABLE) setTimeout(send, 2000);
      else if (error !== null) ended(error);
      else
        operations.waitOperation({ operationId: begun?.operationId ?? "", timeout: { seconds: 120 } }, ended);
    });
  };
  send();
}

const server = new grpc.Server();
server.addService(SchedulerService.service, { ...handlers });
server.bindAsync(address, grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(`listening on port ${port}`);
});
