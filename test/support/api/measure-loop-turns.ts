// loop-turns.test.ts runs this in its own process: the test runner follows every promise, which takes more
// time than the calls do. Prints as JSON how long each call holds the event loop on an agent that keeps much. A call is
// repeated until it takes at most the given number of pages.
import type { TestContext } from "node:test";
import { vmToProto } from "../../../agent/api/convert/vm.ts";
import type { Role } from "../../../agent/contract/methods.ts";
import { DirectCalls } from "./direct-calls.ts";
import { fullAgent, kept } from "./full-agent.ts";
import { protos } from "./client.ts";

const MOST_PAGES = Number(process.argv[2] ?? 0);
const ROUNDS = 5;
const PAGE = 250;

interface Call {
  readonly request: object;
  readonly as?: Role;
  /** A stream ends after so many messages. */
  readonly messages?: number;
  /** Concurrent calls of one caller; 1 by default. */
  readonly atOnce?: number;
}

/** The clock runs on while another process has the CPU, and CPU time counts V8's other threads: the lesser is the loop's. */
const times = (): readonly [number, number] => {
  const { user, system } = process.cpuUsage();
  return [performance.now(), (user + system) / 1000];
};

/** How long the event loop is held while `work` runs: its turns in the mean, weighted by their time, in milliseconds. */
async function turnMs(work: () => Promise<unknown>): Promise<number> {
  const turns: number[] = [];
  let isOver = false;
  let [lastMs, lastCpuMs] = times();
  const turned = new Promise<void>((resolve) => {
    const look = (): void => {
      const [nowMs, nowCpuMs] = times();
      turns.push(Math.min(nowMs - lastMs, nowCpuMs - lastCpuMs));
      [lastMs, lastCpuMs] = [nowMs, nowCpuMs];
      if (isOver) resolve();
      else setImmediate(look);
    };
    setImmediate(look);
  });
  await work();
  isOver = true;
  await turned;
  const sum = (of: (turn: number) => number): number => turns.reduce((all, turn) => all + of(turn), 0);
  return sum((turn) => turn ** 2) / sum((turn) => turn);
}

/** Garbage collection adds a different time in each round. Stops at a round that takes no more than `enoughMs`. */
async function leastOf(work: () => Promise<unknown>, enoughMs = 0): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS && least > enoughMs; round += 1)
    least = Math.min(least, await turnMs(work));
  return least;
}

const served = Object.entries(protos)
  .filter(([name]) => !["scheduler", "enrollment"].includes(name))
  .flatMap(([, service]) => Object.values(service as object) as { readonly path?: string }[])
  .flatMap(({ path }) => (path === undefined ? [] : [path]));

const cleanups: (() => unknown)[] = [];
// The parts of a test that the stages use.
const t = { after: (cleanup: () => unknown) => cleanups.push(cleanup) } as unknown as TestContext;
const { dependencies, audit, doneId, reservationId, api } = await fullAgent(t);
const calls = new DirectCalls(dependencies, audit);
let requests = 0;
const mutation = (more: object): Call => ({ request: { requestId: "", ...more } });
const vm = "vm-500";
const table: Readonly<Record<string, readonly Call[]>> = {
  "/socle.v1.VmService/CreateVm": [
    mutation({ spec: { name: "new", vcpus: 1, memoryBytes: 2 ** 30 } }),
    mutation({ spec: { name: "seeded", cloudInit: { userData: "#".repeat(2 ** 16) } } }),
  ],
  "/socle.v1.VmService/GetVm": [{ request: { vm } }],
  "/socle.v1.VmService/ListVms": [
    { request: { pageSize: 1000 } },
    { request: { pageSize: 250 }, atOnce: 30 },
    { request: { filter: { labels: { none: "such" } } } },
  ],
  "/socle.v1.VmService/WatchVms": [{ request: {}, messages: kept.vms + 1 }],
  "/socle.v1.VmService/StartVm": [mutation({ vm })],
  "/socle.v1.VmService/StopVm": [mutation({ vm })],
  "/socle.v1.VmService/RebootVm": [mutation({ vm })],
  "/socle.v1.VmService/PauseVm": [mutation({ vm })],
  "/socle.v1.VmService/ResumeVm": [mutation({ vm })],
  "/socle.v1.VmService/DeleteVm": [mutation({ vm })],
  "/socle.v1.VmService/UpdateVm": [
    mutation({ vm, spec: { labels: { a: "b" } }, updateMask: { paths: ["labels"] } }),
    mutation({ vm, spec: { vcpus: 4 }, updateMask: { paths: ["vcpus"] } }),
  ],
  "/socle.v1.VmService/AttachDisk": [
    mutation({ vm, disk: { name: "d", volume: { pool: "p", volume: "v" } } }),
  ],
  "/socle.v1.VmService/DetachDisk": [mutation({ vm, disk: "d" })],
  "/socle.v1.VmService/ResizeDisk": [mutation({ vm, disk: "d", capacityBytes: 512 })],
  "/socle.v1.VmService/ChangeMedia": [mutation({ vm, disk: "cd" })],
  "/socle.v1.VmService/MoveDisk": [mutation({ vm, disk: "d", pool: "other" })],
  "/socle.v1.VmService/UpdateDisk": [mutation({ vm, disk: "d", limits: { writeIops: 100 } })],
  "/socle.v1.VmService/AttachNic": [mutation({ vm, nic: { name: "n", network: "default" } })],
  "/socle.v1.VmService/DetachNic": [mutation({ vm, nic: "n" })],
  "/socle.v1.VmService/UpdateNic": [mutation({ vm, nic: "n", linkState: "NIC_LINK_DOWN" })],
  "/socle.v1.VmService/AttachPciDevice": [mutation({ vm, device: "0000:3b:00.0" })],
  "/socle.v1.VmService/DetachPciDevice": [mutation({ vm, device: "0000:3b:00.0" })],
  "/socle.v1.VmService/SuspendVm": [mutation({ vm })],
  "/socle.v1.VmService/DiscardSavedState": [mutation({ vm })],
  "/socle.v1.VmService/InjectNmi": [mutation({ vm })],
  "/socle.v1.VmService/Console": [{ request: { open: { vm } } }],
  "/socle.v1.VmService/RescueVm": [mutation({ vm, image: "none" })],
  "/socle.v1.VmService/UnrescueVm": [mutation({ vm })],
  "/socle.v1.VmService/DumpMemory": [
    mutation({ vm }),
    mutation({ vm, volume: { pool: "none", name: "dump" } }),
  ],
  "/socle.v1.VmService/ChangeSeed": [mutation({ vm, newInstanceId: true })],
  "/socle.v1.ImageService/ImportImage": [
    mutation({ url: "https://a/b", sha256: "0".repeat(64), name: "new", format: "DISK_FORMAT_QCOW2" }),
  ],
  "/socle.v1.ImageService/UploadImage": [
    mutation({ sha256: "0".repeat(64), name: "new", sizeBytes: 1, content: Buffer.alloc(1) }),
  ],
  "/socle.v1.ImageService/GetImage": [{ request: { image: "none" } }],
  "/socle.v1.ImageService/ListImages": [{ request: { pageSize: 1000 } }],
  "/socle.v1.ImageService/DeleteImage": [mutation({ image: "none" })],
  "/socle.v1.SnapshotService/CreateSnapshot": [mutation({ vm, name: "s" })],
  "/socle.v1.SnapshotService/GetSnapshot": [{ request: { vm, snapshot: "s" } }],
  "/socle.v1.SnapshotService/ListSnapshots": [{ request: { vm } }],
  "/socle.v1.SnapshotService/DeleteSnapshot": [mutation({ vm, snapshot: "s" })],
  "/socle.v1.SnapshotService/RevertSnapshot": [mutation({ vm, snapshot: "s" })],
  "/socle.v1.ScreenService/CreateScreenTicket": [{ request: { vm } }],
  "/socle.v1.ScreenService/OpenScreen": [{ request: { vm, ticket: "t" } }],
  "/socle.v1.ScreenService/GetScreenshot": [{ request: { vm } }],
  "/socle.v1.BackupService/BeginBackup": [mutation({ vm })],
  "/socle.v1.BackupService/GetBackup": [{ request: { vm, backupId: "b" } }],
  "/socle.v1.BackupService/ListBackups": [{ request: { vm } }, { request: {} }],
  "/socle.v1.BackupService/RenewBackup": [mutation({ vm, backupId: "b" })],
  "/socle.v1.BackupService/ListExtents": [{ request: { vm, backupId: "b", disk: "d" } }],
  "/socle.v1.BackupService/ReadExtents": [{ request: { vm, backupId: "b", disk: "d" } }],
  "/socle.v1.BackupService/FinishBackup": [mutation({ vm, backupId: "b" })],
  "/socle.v1.BackupService/RestoreDisk": [
    mutation({ vm, disk: "d", sha256: "0".repeat(64), sizeBytes: 1, content: Buffer.alloc(1) }),
  ],
  "/socle.v1.GuestService/GetGuestInfo": [{ request: { vm } }],
  "/socle.v1.GuestService/SetGuestPassword": [{ request: { vm, user: "u", password: "p" } }],
  "/socle.v1.GuestService/SetGuestSshKeys": [{ request: { vm, user: "u", keys: ["k"] } }],
  "/socle.v1.GuestService/TrimGuest": [{ request: { vm } }],
  "/socle.v1.GuestService/SyncGuestTime": [{ request: { vm } }],
  "/socle.v1.GuestService/FreezeFilesystems": [{ request: { vm } }],
  "/socle.v1.GuestService/ThawFilesystems": [{ request: { vm } }],
  "/socle.v1.GuestService/ExecInGuest": [{ request: { vm, path: "/bin/true" } }],
  "/socle.v1.OperationService/GetOperation": [{ request: { operationId: doneId } }],
  "/socle.v1.OperationService/ListOperations": [
    { request: { pageSize: 1000 } },
    { request: { onlyRunning: true } },
    { request: { vmId: "none" } },
  ],
  "/socle.v1.OperationService/WaitOperation": [{ request: { operationId: doneId } }],
  "/socle.v1.OperationService/CancelOperation": [{ request: { operationId: doneId } }],
  "/socle.v1.OperationService/SettleOperation": [
    { request: { operationId: doneId, outcome: "OUTCOME_DONE" } },
  ],
  "/socle.v1.OperationService/WatchOperations": [{ request: { operationId: doneId } }],
  "/socle.v1.HostService/GetHost": [{ request: {} }],
  "/socle.v1.HostService/WatchHost": [{ request: {}, messages: 1 }],
  "/socle.v1.HostService/ListTenants": [{ request: {} }],
  "/socle.v1.HostService/SetSchedulingState": [mutation({ state: "LIFECYCLE_STATE_CORDONED" })],
  "/socle.v1.HostService/AcknowledgeCondition": [mutation({ type: "none" })],
  "/socle.v1.HostService/ResetControlEpoch": [mutation({ controlEpoch: 0 })],
  "/socle.v1.ReservationService/Reserve": [mutation({ vcpus: 1, memoryBytes: 2 ** 20 })],
  "/socle.v1.ReservationService/RenewReservation": [mutation({ reservationId })],
  "/socle.v1.ReservationService/ReleaseReservation": [mutation({ reservationId: "none" })],
  "/socle.v1.ReservationService/GetReservation": [{ request: { reservationId } }],
  "/socle.v1.ReservationService/ListReservations": [
    { request: {} },
    { request: { includeEnded: true, pageSize: 1000 } },
  ],
  "/socle.v1.StorageService/ListPools": [{ request: { pageSize: 1000 } }],
  "/socle.v1.StorageService/ListVolumes": [
    { request: { pageSize: 1000 } },
    { request: { pool: "pool-1" } },
    { request: { pageSize: 250 }, atOnce: 30 },
  ],
  "/socle.v1.StorageService/CreateVolume": [
    mutation({ pool: "none", name: "v", capacityBytes: 512, validateOnly: true }),
  ],
  "/socle.v1.StorageService/ResizeVolume": [mutation({ pool: "none", volume: "v", capacityBytes: 512 })],
  "/socle.v1.StorageService/DeleteVolume": [mutation({ pool: "none", volume: "v" })],
  "/socle.v1.NetworkService/ListNetworks": [{ request: { pageSize: 1000 } }],
  "/socle.v1.EventService/Subscribe": [
    { request: {}, messages: kept.events },
    { request: { kinds: ["EVENT_KIND_RESYNC"] }, messages: 1 },
  ],
  "/socle.v1.TrustService/GetTrust": [{ request: {} }],
  "/socle.v1.TrustService/EnrollHost": [mutation({ address: "a:1", token: "t" })],
  "/socle.v1.AuditService/ListAuditEntries": [
    { request: { pageSize: 1000 }, as: "auditor" },
    { request: { tenant: "none" }, as: "auditor" },
  ],
  "/socle.v1.AuditService/SignCheckpoint": [{ request: {}, as: "auditor" }],
  "/grpc.health.v1.Health/Check": [{ request: {} }],
  "/grpc.health.v1.Health/Watch": [{ request: {}, messages: 1 }],
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": [
    { request: { fileContainingSymbol: "socle.v1.VmService" } },
  ],
};
const page = api.table.all().slice(0, PAGE);
const pageMs = await leastOf(async () => {
  protos.vms.ListVms.responseSerialize({ vms: page.map(vmToProto) });
  await Promise.resolve();
});
const found: Record<string, number> = {};
for (const [path, each] of Object.entries(table))
  for (const { request, as = "operator", messages, atOnce = 1 } of each) {
    calls.as(as);
    const askOne = async (): Promise<void> => {
      const fresh = "requestId" in request ? { ...request, requestId: `fresh-${(requests += 1)}` } : request;
      // A refusal counts as an answer.
      await calls.call(path, fresh, messages).catch(() => undefined);
    };
    const ask = async (): Promise<void> => {
      await Promise.all(Array.from({ length: atOnce }, askOne));
    };
    await ask();
    const pages = (await leastOf(ask, MOST_PAGES * pageMs)) / pageMs;
    found[`${path} ${JSON.stringify(request).slice(0, 120)}`] = Math.round(pages * 100) / 100;
  }
const listed = Object.keys(table).sort();
calls.close();
for (const cleanup of cleanups.reverse()) await cleanup();
process.stdout.write(
  JSON.stringify({ pageMs, pages: found, listed, handled: calls.paths, served: served.sort() }),
);
