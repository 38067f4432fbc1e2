// reads and audited changes over mutual TLS: calls a second, and the cost of TLS and the audit log
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSecureContext } from "node:tls";
import { Client, credentials, Metadata, type ChannelCredentials, type ServiceError } from "@grpc/grpc-js";
import { loadContract, type Contract } from "../../agent/contract/load.ts";
import { AuditLog } from "../../agent/audit/index.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { freePort } from "../support/ports.ts";
import { Authority, installTrust } from "../scheduler/authority.ts";
import { bench, type Run } from "./bench.ts";
import { compared, type Figures } from "./compared.ts";
import { startCrowd } from "./crowd.ts";
import { cpuMs } from "./processes.ts";
import { Reference } from "./reference.ts";
import { startShippedAgent } from "./shipped-agent.ts";
import { median, timed } from "./statistics.ts";

const DOMAIN = "cloud.example";
const IN_FLIGHT = 64;
/**
 * Calls per CPU time of the reference's work. 2,000,000 calls an hour are 556 a second: reads at ten times that rate and
 * changes at twice took one core of a machine where the reference takes 8 ms. CPU time, since the clients, which use more of
 * it than the agent, are on the same machine.
 */
const READS_PER_REFERENCE = 44;
const CHANGES_PER_REFERENCE = 9;

await bench(
  "secured",
  async (run) => {
    const share = run.quick ? 0.02 : 1;
    const reference = new Reference();
    const measure = await stage(run, await run.bundle());
    reference.measure();
    const figures = await measure(share);
    reference.measure();
    const audit = await auditAlone(run, Math.ceil(200 * share));
    run.log("measured; releasing");
    return {
      figures: {
        ...figures,
        auditCpuMsPerChange: audit.cpuMs,
        auditsPerSecond: audit.perSecond,
        referenceCpuMs: reference.cpuMs,
        readsPerReference: reference.cpuMs / (figures["readAgentCpuMs"] ?? NaN),
        changesPerReference: reference.cpuMs / (figures["changeAgentCpuMs"] ?? NaN),
      },
      bound: {
        readsPerReference: { atLeast: READS_PER_REFERENCE },
        changesPerReference: { atLeast: CHANGES_PER_REFERENCE },
      },
    };
  },
  (run, against) =>
    compared(run, against, stage, {
      rounds: 6,
      share: 0.05,
      bounded: ["readAgentCpuMs", "readP50Ms", "changeAgentCpuMs", "changeP50Ms"],
    }),
);

async function stage(run: Run, bundle: string): Promise<(share: number) => Promise<Figures>> {
  const { libvirtd, ids } = await startCrowd(run, 3);
  const directory = await temporary(run);
  const authority = await Authority.make(DOMAIN);
  await installTrust(directory, authority, await authority.issue("agent/host-1"));
  const scheduler = await authority.issue("scheduler/one");
  const address = `127.0.0.1:${await freePort()}`;
  const config = {
    libvirt: { uri: libvirtd.uri },
    trust: { domain: DOMAIN, directory },
    host: { cpuOvercommitRatio: 64 },
    // The rate limit of one caller is not tested here.
    api: { listen: address, limits: { readsPerSecond: 1_000_000, mutationsPerSecond: 1_000_000 } },
  };
  const agent = await startShippedAgent(run, config, { bundle });
  const contract = loadContract(join(import.meta.dirname, "../../proto"));
  const secured = connect(
    run,
    contract,
    address,
    credentials.createFromSecureContext(
      createSecureContext({
        ca: authority.certificatePem,
        cert: scheduler.certificatePem,
        key: scheduler.keyPem,
      }),
      { checkServerIdentity: () => undefined },
    ),
  );
  const plain = connect(run, contract, `unix:${agent.socketPath}`, credentials.createInsecure());
  const [vm = ""] = ids;
  /** Concurrent rows of sequential calls. */
  const measured = async (
    perRow: number,
    call: (row: number) => Promise<unknown>,
  ): Promise<{ perSecond: number; cpuMsPerCall: number; p50Ms: number }> => {
    const count = Math.ceil(perRow);
    const tookMs: number[] = [];
    const cpuBeforeMs = await cpuMs(agent.pid);
    const startMs = performance.now();
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async (_, row) => {
        for (let made = 0; made < count; made += 1) tookMs.push(await timed(() => call(row)));
      }),
    );
    const elapsedMs = performance.now() - startMs;
    const calls = count * IN_FLIGHT;
    return {
      perSecond: (calls / elapsedMs) * 1000,
      cpuMsPerCall: ((await cpuMs(agent.pid)) - cpuBeforeMs) / calls,
      p50Ms: median(tookMs),
    };
  };

  const reservations = await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      const ask = { requestId: randomUUID(), vcpus: 1, memoryBytes: 1024 * 1024, ttl: { seconds: 3600 } };
      return (await secured.reserve(ask)).reservationId;
    }),
  );
  const renew = (row: number): Promise<unknown> =>
    secured.renew({ requestId: randomUUID(), reservationId: reservations[row] ?? "" });
  const read = (through: Connection) => () => through.getVm({ vm });
  for (const warmUp of [read(secured), read(plain), renew]) await measured(run.quick ? 2 : 50, warmUp);
  return async (share) => {
    const reads = await measured(400 * share, read(secured));
    const plainReads = await measured(400 * share, read(plain));
    const changes = await measured(150 * share, renew);
    return {
      readsPerSecond: reads.perSecond,
      readP50Ms: reads.p50Ms,
      readAgentCpuMs: reads.cpuMsPerCall,
      readsPerAgentCoreSecond: 1000 / reads.cpuMsPerCall,
      changesPerSecond: changes.perSecond,
      changeP50Ms: changes.p50Ms,
      changeAgentCpuMs: changes.cpuMsPerCall,
      changesPerAgentCoreSecond: 1000 / changes.cpuMsPerCall,
      // The same read over the unix socket, without TLS.
      tlsCpuMsPerCall: reads.cpuMsPerCall - plainReads.cpuMsPerCall,
    };
  };
}

async function temporary(run: Run): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "socle-bench-secured-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

type Connection = ReturnType<typeof connect>;

function connect(run: Run, contract: Contract, address: string, by: ChannelCredentials) {
  const client = new Client(address, by, {
    "grpc.use_local_subchannel_pool": 1,
    "grpc.ssl_target_name_override": "agent",
  });
  run.cleanUp(() => client.close());
  const metadata = new Metadata();
  metadata.set("socle-control-epoch", "1");
  const method =
    <Request, Response>(of: {
      readonly path: string;
      readonly requestSerialize: (request: Request) => Buffer;
      readonly responseDeserialize: (bytes: Buffer) => Response;
    }) =>
    (request: Request): Promise<Response> =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(
          of.path,
          of.requestSerialize,
          of.responseDeserialize,
          request,
          metadata,
          { deadline: Date.now() + 60_000 },
          (error: ServiceError | null, response?: Response) => {
            if (error !== null) reject(error);
            else if (response !== undefined) resolve(response);
          },
        );
      });
  return {
    getVm: method(contract.vms.GetVm),
    reserve: method(contract.reservations.Reserve),
    renew: method(contract.reservations.RenewReservation),
  };
}

/** The audit log's own time for so many durable acts per row, in this process. */
async function auditAlone(run: Run, perRow: number): Promise<{ cpuMs: number; perSecond: number }> {
  const directory = join(await temporary(run), "audit");
  const log = await AuditLog.open({ directory, clock: systemClock, log: silentLog, retentionMs: 86_400_000 });
  const caller = { name: `spiffe://${DOMAIN}/scheduler/one`, role: "scheduler", peer: "127.0.0.1:1" };
  const before = process.cpuUsage();
  const startMs = performance.now();
  await Promise.all(
    Array.from({ length: IN_FLIGHT }, async () => {
      for (let made = 0; made < perRow; made += 1)
        await log.record({ act: "call_admitted", caller, outcome: "allowed", method: "RenewReservation" });
    }),
  );
  const elapsedMs = performance.now() - startMs;
  const { user, system } = process.cpuUsage(before);
  await log.close();
  const acts = perRow * IN_FLIGHT;
  return { cpuMs: (user + system) / 1000 / acts, perSecond: (acts / elapsedMs) * 1000 };
}
