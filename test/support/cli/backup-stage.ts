import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import type { Backup } from "../../../agent/gen/socle/v1/Backup.ts";
import type { VmSpec, VmSpec__Output } from "../../../agent/gen/socle/v1/VmSpec.ts";
import { protos } from "../api/client.ts";
import { handshake, nbdServer } from "../vm/nbd-server.ts";
import { fakeAgent, rpcError, socle, type FakeHandlers } from "./fake-agent.ts";
import { operation, vm, vmId } from "./samples.ts";

export const CLUSTER = 64 * 1024;

/** An agent with a VM that is backed up into `directory`. */
export interface BackupStage {
  readonly directory: string;
  readonly run: (...line: readonly string[]) => ReturnType<typeof socle>;
  /** The same with a person at a terminal who types this. */
  readonly answer: (text: string, ...line: readonly string[]) => ReturnType<typeof socle>;
  /** The agent also listens at the address that this returns. */
  readonly listen: () => Promise<string>;
  /** What the agent was asked for, in order. */
  readonly asked: unknown[];
  /** The names of the VMs that it was asked to make. */
  readonly made: unknown[];
  /** Their specs, also of requests that only validate. */
  readonly specs: VmSpec__Output[];
  /** Its backups, the open one first. */
  backups: Backup[];
  /** The names of the VM's disks, as the agent sends them. */
  diskNames: readonly string[];
  /** The id of the next backup; undefined: a new one. */
  nextId: string | undefined;
  /** How often ReadExtents breaks after its first piece. */
  breaks: number;
  /** Reads are refused after the first piece. */
  isAbandoned: boolean;
  /** A backup begins after the answer. */
  beginsLater: boolean;
  /** It makes VMs, and the answer to the creation is lost. */
  losesCreation: boolean;
  /** How many answers to BeginBackup are lost, to new and repeated requests. */
  lostAnswers: number;
  /** Whether data of encrypted disks was asked for in clear, by request. */
  readonly consents: boolean[];
  /** Where the agent's reads began. */
  readonly offsets: number[];
  /** Serves the disk beside the agent, as QEMU does: what it answers to a request. `bitmap`: of an increment's changes. */
  serveNbd: (answer: Parameters<typeof nbdServer>[1], bitmap?: string) => Promise<void>;
  /** How often the lease was renewed. */
  renewals: number;
  refusesRenewals: boolean;
  nbdUri: string;
}

/** `clusters`: how many of the disk have data. The next one is zero, and another one a hole. */
export async function backupStage(
  context: TestContext,
  { spec, clusters = 2 }: { readonly spec?: VmSpec; readonly clusters?: number } = {},
): Promise<BackupStage> {
  const dataBytes = clusters * CLUSTER;
  const capacityBytes = dataBytes + 2 * CLUSTER;
  const parent = await mkdtemp(join(tmpdir(), "socle-unit-"));
  context.after(() => rm(parent, { recursive: true, force: true }));
  const directory = join(parent, "web");
  let nbdBitmap = "";
  const on: BackupStage = {
    directory,
    asked: [],
    made: [],
    specs: [],
    backups: [],
    diskNames: ["root"],
    nextId: undefined,
    breaks: 0,
    isAbandoned: false,
    beginsLater: false,
    losesCreation: false,
    lostAnswers: 0,
    offsets: [],
    consents: [],
    renewals: 0,
    refusesRenewals: false,
    nbdUri: "",
    async serveNbd(answer, bitmap) {
      const path = join(parent, "qemu.sock");
      const server = nbdServer(handshake(capacityBytes, bitmap), answer).listen(path);
      await once(server, "listening");
      context.after(() => server.close());
      on.nbdUri = `nbd+unix:///?socket=${path}`;
      nbdBitmap = bitmap ?? "";
    },
    async listen() {
      const relay = createServer((from) => {
        const to = connect(socket);
        for (const end of [from, to]) end.on("error", () => undefined);
        from.pipe(to).pipe(from);
      }).listen(0, "127.0.0.1");
      await once(relay, "listening");
      context.after(() => relay.close());
      return `127.0.0.1:${(relay.address() as AddressInfo).port}`;
    },
    run: (...line) => socle(line, { socket }),
    answer: (text, ...line) =>
      socle(line, { socket, stdin: Object.assign(new PassThrough(), { isTTY: true }).end(text) }),
  };
  let count = 0;
  const lost = rpcError(protos, status.UNAVAILABLE, "the connection was lost", { reason: "LOST" });
  const abandoned = rpcError(protos, status.FAILED_PRECONDITION, "it outgrew its scratch volume", {
    reason: "BACKUP_ABANDONED",
  });
  const open = rpcError(protos, status.FAILED_PRECONDITION, "a backup is open", { reason: "BACKUP_OPEN" });
  const begunBy = new Map<string, string>();
  const done = (result: Record<string, string>) => operation({ kind: "BACKUP", result });
  const backups: FakeHandlers["backups"] = {
    BeginBackup({ request: { requestId, baseBackup, quiesce, disks, allowEncrypted } }, answer) {
      let backupId = begunBy.get(requestId);
      if (backupId === undefined) {
        on.consents.push(allowEncrypted);
        on.asked.push(["begin", baseBackup, quiesce, disks]);
        if (on.backups.some(({ state }) => state === "BACKUP_STATE_OPEN")) {
          answer(open);
          return;
        }
        backupId = on.nextId ?? `b${(count += 1)}`;
        begunBy.set(requestId, backupId);
        const incremental = baseBackup !== "";
        const of = { capacityBytes, incremental, ...(incremental && { nbdBitmap }) };
        const all = on.diskNames.map((disk) => ({ disk, ...of }));
        on.backups = [
          { backupId, vmId, state: "BACKUP_STATE_OPEN", disks: all, baseBackup, nbdUri: on.nbdUri },
          ...on.backups,
        ];
      }
      if (on.lostAnswers > 0) {
        on.lostAnswers -= 1;
        answer(lost);
        return;
      }
      const begun = done({ backup_id: backupId });
      answer(null, on.beginsLater ? { ...begun, state: "STATE_RUNNING", done: false, result: {} } : begun);
    },
    GetBackup: ({ request: { backupId } }, answer) =>
      answer(null, on.backups.find((each) => each.backupId === backupId) ?? {}),
    RenewBackup({ request: { backupId } }, answer) {
      on.renewals += 1;
      const found = on.backups.find((each) => each.backupId === backupId);
      if (on.refusesRenewals || found === undefined) answer(abandoned);
      else answer(null, found);
    },
    ListBackups: (_call, answer) => answer(null, { backups: on.backups }),
    ListExtents(call) {
      const extents = [
        { offsetBytes: 0, lengthBytes: dataBytes },
        { offsetBytes: dataBytes, lengthBytes: CLUSTER, zero: true },
      ];
      call.write({ extents });
      call.end();
    },
    ReadExtents(call) {
      const from = call.request.offsetBytes;
      on.offsets.push(from);
      for (let at = from; at < dataBytes; at += CLUSTER) {
        call.write({ offsetBytes: at, content: Buffer.alloc(CLUSTER, 1 + at / CLUSTER) });
        if (on.isAbandoned) {
          call.emit("error", abandoned);
          return;
        }
        if (on.breaks > 0) {
          on.breaks -= 1;
          call.emit("error", lost);
          return;
        }
      }
      call.write({ offsetBytes: dataBytes, zeroBytes: CLUSTER });
      call.end();
    },
    FinishBackup({ request: { backupId, success } }, answer) {
      const isNamed = existsSync(join(directory, "manifest.json"));
      on.asked.push(["finish", backupId, success, isNamed]);
      const ended = on.backups.filter((each) => each.backupId === backupId);
      on.backups = success
        ? ended.map((each) => ({ ...each, state: "BACKUP_STATE_COMPLETE" as const }))
        : on.backups.filter((each) => each.backupId !== backupId);
      answer(null, done({}));
    },
  };
  const socket = await fakeAgent(context, {
    backups,
    vms: {
      GetVm: (_call, answer) => answer(null, spec === undefined ? vm() : vm({ spec })),
      ListVms: (_call, answer) => answer(null, { vms: [vm()], totalSize: 1 }),
      CreateVm({ request }, answer) {
        if (request.spec !== null) on.specs.push(request.spec);
        if (on.losesCreation && request.validateOnly) {
          answer(null, done({}));
          return;
        }
        const isRepeated = on.made.includes(request.requestId);
        on.made.push(on.losesCreation ? request.requestId : request.spec?.name);
        if (on.losesCreation) {
          answer(isRepeated ? null : lost, operation({ kind: "CREATE_VM", vmId: request.spec?.vmId ?? "" }));
          return;
        }
        answer(rpcError(protos, status.RESOURCE_EXHAUSTED, "the host is full", { reason: "HOST_FULL" }));
      },
      DeleteVm({ request }, answer) {
        on.asked.push(["delete", request.vm]);
        answer(null, done({}));
      },
    },
    operations: {
      WatchOperations: (call) => {
        call.write(done({}));
      },
    },
  });
  return on;
}
