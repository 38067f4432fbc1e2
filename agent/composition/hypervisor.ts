import { arch } from "node:os";
import { tenantRules, type TenantRules } from "../config/tenants.ts";
import { probeCommand } from "../hardware/system/identity.ts";
import { HostService } from "../host/host-service.ts";
import type { Claim } from "../host/capacity/ledger.ts";
import { Reservations } from "../host/capacity/reservations.ts";
import type { TenantQuota } from "../host/capacity/tenant-quotas.ts";
import { credentialPath } from "../kernel/credentials.ts";
import type { Logger } from "../kernel/log.ts";
import type { Service } from "../kernel/lifecycle/service.ts";
import { portRange } from "../kernel/text/port-range.ts";
import { Libvirt } from "../libvirt/index.ts";
import { RevocationGuard, type Trust } from "../trust/index.ts";
import { Domains } from "../vm/hypervisor/domains.ts";
import { footprintFeed } from "../vm/observation/footprints.ts";
import { GuestKeys } from "../vm/keys/guest-keys.ts";
import { keyWatch } from "../vm/keys/key-watch.ts";
import { KeyWrap } from "../vm/keys/key-wrap.ts";
import { HypervisorLease, type HolderBefore } from "../vm/hypervisor/hypervisor-lease.ts";
import { KvmProbe } from "../vm/hypervisor/kvm-probe.ts";
import { Screens } from "../vm/hypervisor/screens.ts";
import { Networks } from "../vm/hypervisor/networks.ts";
import { LeaseWatch } from "../vm/observation/lease-watch.ts";
import type { Freezes } from "../vm/hypervisor/freezes.ts";
import { frozenGuests } from "../vm/observation/frozen-guests.ts";
import { agentLimits } from "../vm/observation/agent-limits.ts";
import { Observer } from "../vm/observation/observer.ts";
import type { BackupReads } from "../vm/operations/backup-reads.ts";
import type { BackupWatch } from "../vm/operations/backup-watch.ts";
import { NbdPorts } from "../vm/operations/nbd-ports.ts";
import type { Autostart } from "../vm/operations/autostart.ts";
import type { CrashRestarts } from "../vm/operations/crash-restarts.ts";
import { DumpLeftovers } from "../vm/operations/dump-leftovers.ts";
import { Settler } from "../vm/operations/recovery.ts";
import { unreadableWatch } from "../vm/model/unreadable.ts";
import { canAddMemory } from "../vm/model/memory-growth.ts";
import { VmTable } from "../vm/observation/vm-table.ts";
import type { VmHost } from "../vm/model/vm-host.ts";
import type { ImageCollector } from "../vm/operations/image-collector.ts";
import { Images } from "../vm/operations/images.ts";
import { Vms } from "../vm/operations/vms.ts";
import { DumpDirectory } from "../vm/storage/dump-directory.ts";
import { Volumes } from "../vm/storage/volumes.ts";
import { PoolVolumes } from "../vm/operations/pool-volumes.ts";
import type { ImageStore } from "../vm/images/image-store.ts";
import type { Basis } from "./basis.ts";
import { buildBackups } from "./backups.ts";
import { buildImageCollector, buildImages } from "./images.ts";
import { buildPowerPolicy } from "./power-policy.ts";
import type { State } from "./state.ts";
import { defined } from "../kernel/defined.ts";

/** This machine, its libvirt and its VMs. */
export interface Hypervisor {
  readonly libvirt: Libvirt;
  readonly host: HostService;
  readonly reservations: Reservations;
  readonly table: VmTable;
  readonly vms: Vms;
  readonly freezes: Pick<Freezes, "isFrozen">;
  readonly screens: Screens;
  readonly backupReads: BackupReads;
  readonly backupWatch: BackupWatch;
  readonly images: Images;
  readonly poolVolumes: PoolVolumes;
  readonly imageStore: ImageStore;
  /** Undefined: the configuration asks for none. */
  readonly imageCollector: ImageCollector | undefined;
  readonly autostart: Autostart;
  readonly crashRestarts: CrashRestarts;
  readonly sampleIntervalMs: number;
  /** Its services, in order of start. */
  readonly services: readonly Service[];
  /** Completes what earlier starts began, once the VMs can be reported. */
  readonly settler: Service;
}

const MIB = 2 ** 20;
const ARCHITECTURES: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };

/** `probePath`: the child process that queries the machine's identity. Throws for an unusable libvirt URI. */
export function buildHypervisor(
  basis: Basis,
  state: State,
  { trust, probePath }: { readonly trust: Trust; readonly probePath: string },
): Hypervisor {
  const { config, environment, clock, log } = basis;
  const { events, operations, watermark, audit, record } = state;
  const callTimeoutMs = config.libvirt.callTimeoutSeconds * 1000;
  const libvirt = new Libvirt({ uri: config.libvirt.uri, callTimeoutMs, environment, clock, log });
  const revocations = new RevocationGuard(trust, state.permit, () => watermark.raise());
  const lease = buildLease(basis, state, { libvirt, revocations });
  const host = buildHost(basis, state, { libvirt, lease, trust, probePath });
  const reservations = new Reservations({ book: state.reservations, ledger: host.ledger, clock, log });
  const table = new VmTable();
  const sampleIntervalMs = config.vm.sampleIntervalSeconds * 1000;
  const publish = (event: Parameters<typeof events.append>[0]): void => void events.append(event);
  const observer = new Observer({ libvirt, table, publish, kvm: host.reports, clock, log, sampleIntervalMs });
  const architecture = ARCHITECTURES[arch()] ?? arch();
  const wrap = new KeyWrap({ file: config.vm.volumeKeyFile, environment });
  const volumes = new Volumes(libvirt, clock, { log, allowRawFiles: config.vm.allowForgeableRawDisks });
  const hostId = (): string => record.hostId ?? "";
  const { permit } = state;
  const imageParts = buildImages(config.images, {
    libvirt,
    volumes,
    table,
    host,
    hostId,
    permit,
    clock,
    log,
  });
  const domains = new Domains(libvirt, clock, host.reports);
  const { freezes } = domains;
  const { nbdAddress } = config.backups;
  const ports = portRange(config.backups.nbdPorts);
  const dumps = new DumpDirectory(config.vm.dumpDirectory ?? undefined);
  const vms = new Vms(
    defined({
      domains,
      volumes,
      images: imageParts,
      networks: new Networks(libvirt),
      keys: new GuestKeys(libvirt, clock, wrap),
      attest: ({ receipt, ...rest }) => audit.attest({ receipt, host: hostId(), ...rest }),
      table,
      operations,
      watermark,
      clock,
      log,
      architecture,
      socketDirectory: config.guest.socketDirectory,
      nbdPorts:
        nbdAddress === null || ports === undefined
          ? undefined
          : new NbdPorts({ address: nbdAddress, ports, table, clock }),
      dumps,
      memoryHeadroomBytes:
        config.vm.memoryHeadroomMiB === null ? undefined : config.vm.memoryHeadroomMiB * MIB,
      kvmProbe: new KvmProbe({ libvirt, verdicts: host.reports, architecture, clock, log }),
      host: vmHostOf(host, reservations),
      policy: {
        ...config.vm,
        canAddMemory: () => canAddMemory(libvirt.status),
        gracefulStopMs: config.vm.gracefulStopSeconds * 1000,
        permissionsOf: (tenant) => {
          const rules = tenantRules(config.tenants, tenant);
          const guestExec = rules.guestExec && config.guest.execAllowed;
          return { ...rules, guestExec, keepDisks: rules.quotas.diskMiB === null };
        },
      },
    }),
  );
  const footprints = footprintFeed(table, (seen, complete) => host.ledger.setFootprints(seen, complete));
  const { store: imageStore } = imageParts;
  const images = new Images({ vms, ...imageParts, hostId, pool: config.images.pool });
  const collecting = { store: imageStore, images, table, host, hostId, publish };
  const imageCollector = buildImageCollector(basis, state, collecting);
  const poolVolumes = new PoolVolumes({ vms, volumes, host });
  const settler = new Settler({ operations, watermark, vms, table, clock, log });
  const acting = { libvirt, domains, table, vms, publish };
  const { autostart, crashRestarts } = buildPowerPolicy(basis, state, acting);
  const { backupReads, backupWatch } = buildBackups(basis, state, acting);
  const volumeKey = keyWatch({ table, wrap, clock, report: (lost) => host.reports.reportVolumeKey(lost) });
  const unreadable = unreadableWatch(table, (problem) => host.reports.reportUnreadableVms(problem));
  const networks = () => host.listings.networks.items.flatMap(({ item }) => item ?? []);
  const leases = new LeaseWatch({ libvirt, networks, table, clock, log });
  const services = [
    libvirt,
    revocations,
    lease,
    unreadable,
    observer,
    host,
    leases,
    footprints,
    reservations,
    volumeKey,
    frozenGuests({ table, freezes, untilAllowed: (signal) => permit.untilAllowed(signal), log }),
    agentLimits({ libvirt, table, agents: domains.guestAgents, log }),
    autostart,
    crashRestarts,
    backupWatch,
    ...(imageCollector === undefined ? [] : [imageCollector]),
    ...(config.vm.dumpDirectory === null
      ? []
      : [new DumpLeftovers({ dumps, operations, domains, table, clock, log })]),
  ];
  const screens = new Screens(domains, libvirt);
  const parts = {
    libvirt,
    host,
    reservations,
    table,
    vms,
    freezes,
    images,
    poolVolumes,
    imageStore,
    imageCollector,
  };
  const own = { autostart, crashRestarts, backupReads, backupWatch, screens };
  return { ...parts, ...own, sampleIntervalMs, services, settler };
}

/** Guards changes of libvirt, and informs a state directory that was rolled back. */
export function buildLease(
  { config, clock, log }: Pick<Basis, "config" | "clock" | "log">,
  state: State,
  parts: {
    readonly libvirt: Libvirt;
    readonly revocations: Pick<RevocationGuard, "listTimes" | "note">;
  },
): HypervisorLease {
  const { libvirt, revocations } = parts;
  const { record, position, events, operations, watermark, permit } = state;
  const hadEvents = events.newestSequence > 0;
  let hasBegunAnew = false;
  return new HypervisorLease({
    libvirt,
    uri: config.libvirt.uri,
    stateDirectory: config.state.directory,
    stateId: record.stateId,
    agentEpoch: () => record.agentEpoch,
    controlFence: () => record.controlFence,
    revocationLists: () => revocations.listTimes,
    watermark,
    async onFollow(before) {
      const { agentEpoch, watermark: mark, isOwn, isAhead, revocationLists } = before;
      revocations.note(revocationLists);
      // The lease's facts can be neither stored nor compared here: it has to stay.
      for (const { failure } of [record, operations])
        if (failure?.reason === "STATE_UNREADABLE") throw failure;
      await followFence(state, before, log);
      const [newest] = operations.list({ limit: 1 });
      if (isAhead && newest !== undefined) await watermark.outdate(newest.id);
      if (isAhead && (isOwn || hadEvents) && !hasBegunAnew) {
        log.error((isOwn ? rolledBack : overtaken)(config.state.directory));
        // Event numbers were reused since. The lease of another directory does not show whether this one was rolled back
        // before.
        await events.beginAnew();
        hasBegunAnew = true;
      }
      if (isAhead && isOwn) await watermark.reach(mark);
      // Its journal lacks operations of this boot: a VM that a caller stopped must not be started.
      if (isAhead && record.boot !== undefined) await record.setBoot({ ...record.boot, autostarted: true });
      if (agentEpoch < record.agentEpoch) return;
      log.warn(
        { before: agentEpoch, now: record.agentEpoch },
        "the agent before this one had a higher epoch",
      );
      // Last: while the epoch is lower, the next attempt finds that the earlier holder is ahead.
      await record.raiseAgentEpoch(agentEpoch + 1);
      position.agentEpoch = events.agentEpoch = record.agentEpoch;
    },
    permit,
    clock,
    log,
  });
}

/** The fence survives a state directory that was rolled back or lost. Throws as the host record. */
async function followFence({ record, audit }: State, before: HolderBefore, log: Logger): Promise<void> {
  const from = record.controlEpoch;
  await record.followControlFence(before.controlFence, before);
  const to = record.controlEpoch;
  if (from === to) return;
  log.warn(
    { from, to },
    "the control epoch is taken from the agent's lease: the state directory had another",
  );
  audit.note({ act: "control_epoch_raised", reason: "LEASE_FOLLOWED", details: { from, to } });
}

const rolledBack = (directory: string): string =>
  `${directory} is older than its last use: it was rolled back. ${lostWithOlder}`;

const overtaken = (directory: string): string =>
  `${directory} is older than the state directory of another agent on this libvirt. ${lostWithOlder}`;

const lostWithOlder =
  "Operations without an end in it have no further effect and end as OPERATION_SUPERSEDED; check their VMs, and " +
  "repeat those that are still wanted. A cordon since then is lost: if the host was cordoned, cordon it again";

function buildHost(
  { config, version, environment, clock, log }: Basis,
  { directory, record, watermark, events, operations, reservations, audit }: State,
  parts: { libvirt: Libvirt; lease: HypervisorLease; trust: Trust; probePath: string },
): HostService {
  const { libvirt, lease, trust, probePath } = parts;
  const passwordFile = config.bmc.passwordFile ?? credentialPath(environment, "socle-bmc-password") ?? null;
  return new HostService({
    config: { ...config, bmc: { ...config.bmc, passwordFile } },
    libvirt,
    record,
    journals: [directory, record, watermark, operations, reservations, events, audit, lease],
    clock,
    log,
    agentVersion: version,
    quotaOf: (tenant) => quotaOf(tenantRules(config.tenants, tenant).quotas),
    certificate: () => {
      const { material, problem, rolledBack } = trust;
      const wrong = { problem: problem?.message, rolledBack: rolledBack?.message };
      if (material !== undefined) return { kind: "read", value: { ...material, ...wrong } };
      if (problem !== undefined && problem.reason !== "NOT_ENROLLED")
        return { kind: "failed", reason: problem.message };
      const reason = trust.isRequired ? "this host is not enrolled" : "there is no trust domain";
      return { kind: "unsupported", reason };
    },
    identityCommand: probeCommand(probePath),
    onConditionChange: ({ type, status, effect, reason, evidence, latched, subjects }, isFirst) => {
      const held = latched ? { latched: "true" } : {};
      const about = subjects.length === 0 ? {} : { subjects: subjects.join(" ") };
      const first = isFirst ? { first: "true" } : {};
      const details = { condition: type, status, effect, evidence, ...about, ...held, ...first };
      events.append({ kind: "condition_changed", reason, details });
      if (type === "VolumeSuspicious" && status === "true")
        audit.note({ act: "volume_suspicious", details: { evidence, ...about } });
    },
    onSchedulingChange: ({ state, reason }) =>
      events.append({ kind: "scheduling_changed", reason, details: { state } }),
  });
}

const quotaOf = ({ vms, vcpus, memoryMiB, diskMiB }: TenantRules["quotas"]): TenantQuota => ({
  vms,
  vcpus,
  memoryBytes: memoryMiB === null ? null : memoryMiB * MIB,
  diskBytes: diskMiB === null ? null : diskMiB * MIB,
});

/** The VM layer's interface to its host. */
export function vmHostOf(
  host: Pick<HostService, "ledger" | "storageRead" | "trait" | "kvm">,
  reservations: Pick<Reservations, "take" | "taken">,
): VmHost {
  const { ledger } = host;
  const room = (claim: Claim): ReturnType<VmHost["claim"]> => ({
    placement: claim.placement,
    begun: () => Promise.resolve(),
    consume: () => ledger.consume(claim),
    release: () => ledger.release(claim),
  });
  return {
    claim({ reservation, ...vm }) {
      if (reservation === undefined) return room(ledger.claim(vm));
      const { holder: vmId, volumes, ...size } = vm;
      const taken = reservations.take(reservation.id, {
        vmId,
        caller: reservation.caller,
        room: size,
        volumes,
      });
      let isBegun = false;
      return {
        ...room(taken.claim),
        placementRequest: taken.placementRequest,
        async begun() {
          await taken.consume();
          isBegun = true;
        },
        release: () => (isBegun ? ledger.release(taken.claim) : taken.giveBack()),
      };
    },
    reclaim({ placement, reservationId, ...vm }) {
      if (reservationId !== undefined) reservations.taken(reservationId, vm.holder);
      return room(ledger.reclaim({ ...vm, placement }));
    },
    placeDevice: (request) => ledger.placeDevice(request),
    grow: (growth) => ledger.grow(growth),
    regrow: (growth) => ledger.regrow(growth),
    storageRead: () => host.storageRead(),
    deleted: (volumes) => ledger.deleted(volumes),
    trait: (name) => host.trait(name),
    kvm: () => host.kvm(),
  };
}
