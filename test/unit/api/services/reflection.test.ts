import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { status, type ServiceError } from "@grpc/grpc-js";
import { descriptorFiles } from "../../../../agent/api/services/descriptor-files.ts";
import type { ServerReflectionRequest } from "../../../../agent/gen/grpc/reflection/v1/ServerReflectionRequest.ts";
import type { ServerReflectionResponse__Output } from "../../../../agent/gen/grpc/reflection/v1/ServerReflectionResponse.ts";
import { folder } from "../../../support/state/folder.ts";
import { ApiClient, protos, startApi } from "../../../support/api/harness.ts";

const root = fileURLToPath(new URL("../../../..", import.meta.url));

async function query(
  client: ApiClient,
  ...requests: readonly ServerReflectionRequest[]
): Promise<ServerReflectionResponse__Output[]> {
  const call = client.bidi(protos.reflection.ServerReflectionInfo);
  for (const request of requests) call.write(request);
  call.end();
  const answers: ServerReflectionResponse__Output[] = [];
  for await (const answer of call) answers.push(answer as ServerReflectionResponse__Output);
  return answers;
}

test("tools read the contract from the socket", async (t) => {
  const { socket } = await startApi(t);
  const [listed, found, byName, missing] = await query(
    new ApiClient(t, `unix:${socket}`),
    { listServices: "*" },
    { fileContainingSymbol: "socle.v1.VmService.CreateVm" },
    { fileByFilename: "google/protobuf/any.proto" },
    { fileContainingSymbol: "socle.v1.Nothing" },
  );
  const names = listed?.listServicesResponse?.service.map(({ name }) => name) ?? [];
  assert.ok(names.includes("socle.v1.VmService") && names.includes("grpc.reflection.v1.ServerReflection"));
  assert.ok(!names.includes("socle.v1.SchedulerService"), "the agent does not serve SchedulerService");
  const files = (answer?: ServerReflectionResponse__Output) =>
    (answer?.fileDescriptorResponse?.fileDescriptorProto ?? []).map((bytes) => fileName(bytes));
  assert.equal(files(found)[0], "socle/v1/vm.proto");
  assert.ok(files(found).includes("google/protobuf/timestamp.proto"), "with its imports");
  assert.deepEqual(files(byName), ["google/protobuf/any.proto"]);
  assert.equal(missing?.errorResponse?.errorCode, status.NOT_FOUND);
});

test("on TCP reflection is served only if configured", async (t) => {
  const closed = await startApi(t, { listen: "127.0.0.1:0" });
  const call = new ApiClient(t, `127.0.0.1:${closed.tcpPort ?? 0}`).bidi(
    protos.reflection.ServerReflectionInfo,
  );
  call.resume();
  const [error] = (await once(call, "error")) as [ServiceError];
  assert.equal(error.code, status.UNIMPLEMENTED);
  const open = await startApi(t, { listen: "127.0.0.1:0", reflection: true });
  const answers = await query(new ApiClient(t, `127.0.0.1:${open.tcpPort ?? 0}`), { listServices: "" });
  assert.equal(answers.length, 1);
});

test("proto/contract.binpb matches the .proto files", async (t) => {
  const made = join(await folder(t), "contract.binpb");
  const buf = join(root, "node_modules/.bin/buf");
  execFileSync(buf, ["build", "proto", "--as-file-descriptor-set", "--exclude-source-info", "-o", made], {
    cwd: root,
  });
  const committed = await readFile(join(root, "proto/contract.binpb"));
  assert.ok((await readFile(made)).equals(committed), "run scripts/gen-proto");
});

const fileName = (bytes: Buffer): string | undefined => {
  // As the only file of a set: field 1, its length as a varint, the file.
  const length = [(bytes.length % 128) | 128, ((bytes.length >> 7) % 128) | 128, bytes.length >> 14];
  return descriptorFiles(Buffer.concat([Buffer.from([0x0a, ...length]), bytes]))[0]?.name;
};
