import { portRange } from "../kernel/text/port-range.ts";
import * as z from "../kernel/zod.ts";
import { healthSchema } from "./health.ts";
import { tenantsSchema } from "./tenants.ts";
import { absolutePath, flag, hostPort, number, ownAddress, whole } from "./values.ts";

// Each key's default and description are here: `socle config show --defaults` and the man page print them.

const perSecond = (usual: number) => number(0.1, 1_000_000, usual);
const atOnce = (usual: number) => whole(1, 100_000, usual);
const noAddress = hostPort.nullable().default(null);
const noPath = absolutePath.nullable().default(null);
const claim = z.string().min(1).max(512).nullable().default(null);
const uuid = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, "must be a lower-case UUID");

const host = z.strictObject({
  id: uuid.optional().describe("The host's UUID. Default: libvirt's host uuid."),
  labels: z
    .record(z.string().max(63), z.string().max(255))
    .refine((labels) => Object.keys(labels).length <= 64, "must be at most 64")
    .default({})
    .describe("Labels reported to the scheduler, at most 64."),
  reservedCpus: z.number().int().min(0).default(0).describe("CPUs kept for the host itself."),
  reservedMemoryMiB: z
    .number()
    .int()
    .min(0)
    .default(1024)
    .describe("Memory kept for the host itself, in MiB."),
  dedicatedCpus: z
    .string()
    .regex(/^(\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*)?$/, "must be a CPU list, for example 2-7,10")
    .default("")
    .describe("CPUs that serve one VM each, as a list: 2-7,10. All others are shared."),
  deviceAliases: z
    .record(
      z.string().regex(/^[A-Za-z][A-Za-z0-9._-]{0,62}$/),
      z
        .string()
        .regex(
          /^([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]|[0-9a-f]{4}:[0-9a-f]{4})$/,
          "must be a PCI address (0000:3b:00.0) or VENDOR:DEVICE (10de:20b0), in lower case",
        ),
      { error: ({ code }) => (code === "invalid_key" ? "must be a name, for example a100" : undefined) },
    )
    .refine(
      (aliases) => new Set(Object.values(aliases)).size === Object.keys(aliases).length,
      "must not have two names for one device",
    )
    .default({})
    .describe(
      "Names for devices that VMs may use: each for a PCI address (0000:3b:00.0), or for all devices of a VENDOR:DEVICE (10de:20b0). A VM that requests a VENDOR:DEVICE gets a free one.",
    ),
  cpuOvercommitRatio: number(0.1, 64, 4).describe("vCPUs per CPU."),
  memoryOvercommitRatio: number(0.1, 4, 1).describe("Guest memory per host memory."),
  storageOvercommitRatio: number(0.1, 64, 1).describe(
    "Bytes that volumes may grow to, per byte of their storage pool; a new disk beyond that is rejected.",
  ),
});

const libvirt = z.strictObject({
  uri: z
    .string()
    .max(1024)
    .regex(
      /^(qemu|test)(\+unix)?:\/\/\//,
      "must be libvirt on this host, over its unix socket: qemu:///system",
    )
    .default("qemu:///system")
    .describe("qemu:///system, qemu:///session or test:///..., with ?socket=PATH for another socket."),
  callTimeoutSeconds: number(1, 600, 35).describe(
    "Deadline of one call. Above 30: libvirt waits 30 s for a busy guest before it refuses.",
  ),
});

const vm = z.strictObject({
  accelerator: z
    .enum(["auto", "kvm", "tcg"])
    .default("auto")
    .describe("auto: KVM if /dev/kvm exists, else TCG (emulated, slow)."),
  bridges: z
    .array(z.string().max(15))
    .default([])
    .describe("Host bridges that NICs may use. The key tenants narrows this for callers of one tenant."),
  allowSpoofing: flag(false).describe("Whether a spec may request a NIC without the anti-spoofing filter."),
  allowForgeableRawDisks: flag(false).describe(
    "Whether guests may write raw files in pools of files (dir, fs, netfs). A guest can forge the header of an image in its raw file. libvirt believes it at each refresh of the pool: the guest can have any file of the host opened, and stop the host's storage. Only for hosts whose guests are all yours.",
  ),
  memoryHeadroomMiB: z
    .number()
    .int()
    .min(256)
    .nullable()
    .default(null)
    .describe(
      "Limits a new VM's QEMU to the memory that QEMU and the guest, at its maximum, need, plus this headroom in MiB. The kernel kills a QEMU above the limit, so leave room: 1024. null: no limit.",
    ),
  volumeKeyFile: noPath.describe(
    "File with the volume key: 32 random bytes that seal the passphrases of encrypted disks. Only the agent's user may read it. Keep it outside /etc/socle and the state directory, which a purge deletes. null: the systemd credential socle-volume-key, if any.",
  ),
  dumpDirectory: noPath.describe(
    "Directory of the host for dumps of guests' memory (socle vm dump) and for the memory of snapshots (socle vm snapshot create --memory), owned by the agent's user with mode 0700, on a file system of its own: not that of guests' disks or of the agent's state. They hold all that the guests have in memory. null: neither.",
  ),
  gracefulStopSeconds: number(1, 3600, 90).describe(
    "How long a guest may take to shut down, unless the request sets a time.",
  ),
  crashRestartsPerHour: whole(1, 60, 3).describe(
    "How often within an hour the agent starts a crashed VM again whose spec has crashPolicy restart.",
  ),
  sampleIntervalSeconds: number(1, 300, 10).describe("How often VM statistics are read."),
});

const images = z.strictObject({
  pool: z
    .string()
    .regex(/^[A-Za-z0-9_][A-Za-z0-9._+-]{0,127}$/, "must be the name of a storage pool")
    .default("default")
    .describe(
      "The storage pool of images whose import names none. It must be a pool of files (dir, fs, netfs).",
    ),
  maxBytes: whole(1, 2 ** 50, 256 * 2 ** 30).describe(
    "The largest file that is imported as an image, in bytes.",
  ),
  leastBytesPerSecond: whole(1, 2 ** 30, 128 * 1024).describe(
    "The least rate of an import, an upload or a restoration of a disk, over each 10 minutes. A slower transfer fails with TRANSFER_TOO_SLOW, so that it holds no place for long.",
  ),
  allowHttp: flag(false).describe(
    "Whether images may come over http. Their digest is verified, but others can read the request and its credentials.",
  ),
  allowPrivateAddresses: flag(false).describe(
    "Whether images may come from addresses that are not public, such as 10.0.0.0/8 or this host itself. Never for callers of one tenant.",
  ),
  allowedHosts: z
    .array(
      z.string().regex(/^(\*\.)?[a-z0-9.:[\]-]{1,253}$/, "must be a host name in lower case, or *.DOMAIN"),
    )
    .default([])
    .describe("The hosts that images may come from, as names or *.DOMAIN; redirects too. Empty: any."),
  proxy: z
    .string()
    .regex(/^http:\/\/[A-Za-z0-9.[\]:-]+:\d{1,5}$/, "must be http://HOST:PORT")
    .nullable()
    .default(null)
    .describe(
      "An HTTP proxy for downloads. It resolves the names, so it must refuse private addresses itself. null: none.",
    ),
  authorities: noPath.describe(
    "Authorities (PEM) that verify image servers, beside the well-known ones. null: only those.",
  ),
  collectAbovePercent: z
    .number()
    .int()
    .min(1)
    .max(99)
    .nullable()
    .default(null)
    .describe(
      "Of a local pool that is fuller than this, the agent deletes images that no VM uses, one a minute, the least recently used first, whosever they are. Those of uploads and volumes may have no other copy: see collectKeep. null: none.",
    ),
  collectUnusedHours: number(0, 87_600, 168).describe(
    "Images that were imported or used within this time are not collected. The agent knows uses since its start.",
  ),
  collectKeep: z
    .array(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, "must be the name of an image"))
    .default([])
    .describe("The names of images that are not collected, of each tenant."),
});

const backups = z.strictObject({
  nbdAddress: ownAddress
    .nullable()
    .default(null)
    .describe(
      "Address of this host at which QEMU serves backups by NBD over TLS, for readers on other hosts that ask for it (nbd_tls). A client that has a certificate of the authority in QEMU's certificates for backups (backup_tls_x509_cert_dir of qemu.conf) can read each of them: use an authority, and a network, for backups alone. null: no NBD over TLS.",
    ),
  nbdPorts: z
    .string()
    .refine((text) => {
      const ports = portRange(text);
      return ports !== undefined && ports.last - ports.first < 1000;
    }, "must be FIRST-LAST, for example 10900-10963: ports in ascending order, at most 1000")
    .default("10900-10963")
    .describe("Its TCP ports: each open backup that is read so has one."),
});

const guest = z.strictObject({
  execAllowed: flag(true).describe(
    "Whether callers may run programs in guests, through the guest agent (socle guest exec). The key tenants can forbid it for the guests of one tenant.",
  ),
  socketDirectory: absolutePath
    .default("/run/socle-guests")
    .describe(
      "Directory of the unix sockets that QEMU makes for the agent, such as a guest's screen. QEMU's user owns it and its group is the agent's, with mode 2770: new sockets get the group.",
    ),
});

const bmc = z.strictObject({
  interface: z
    .enum(["auto", "open", "lanplus", "off"])
    .default("auto")
    .describe("How ipmitool reaches the BMC. auto: /dev/ipmi0 if it exists; lanplus: over the network."),
  address: z
    .string()
    .max(253)
    .regex(/^[0-9A-Za-z][0-9A-Za-z.:-]*$/, "must be a host name or an IP address")
    .nullable()
    .default(null)
    .describe("The BMC's host name or IP address, for lanplus."),
  port: whole(1, 65535, 623).describe("Its UDP port, for lanplus."),
  user: z
    .string()
    .max(16)
    .regex(/^[^-\0][^\0]*$/, "must be a user's name")
    .nullable()
    .default(null)
    .describe("The user to log in as, for lanplus; one with the privilege USER is enough."),
  passwordFile: noPath.describe(
    "The file with its password, for lanplus. Default: the systemd credential socle-bmc-password, if any.",
  ),
  cipherSuite: whole(0, 17, 17).describe("RMCP+ cipher suite, for lanplus."),
  timeoutSeconds: number(1, 120, 30).describe(
    "Deadline of one query: ten seconds are normal with a hundred sensors.",
  ),
});

const api = z.strictObject({
  socket: absolutePath
    .default("/run/socle/agent.sock")
    .describe("The unix socket for the host's operator. The mode of its directory controls access."),
  listen: noAddress.describe(
    "TCP address of the gRPC API. Without trust.domain only a loopback address is accepted, with trust.insecureLoopback.",
  ),
  reflection: flag(false).describe("gRPC reflection on TCP as well; the unix socket always has it."),
  maxConcurrentStreams: whole(1, 10000, 64).describe("Streams per connection."),
  limits: z
    .strictObject({
      readsPerSecond: perSecond(1000).describe("Reads, and new waits."),
      mutationsPerSecond: perSecond(50).describe("Mutations other than stops and cancels."),
      streamsPerSecond: perSecond(50).describe("New watches, subscriptions and consoles."),
      controlsPerSecond: perSecond(200).describe("Health checks, stops, cancels and cordons."),
      failuresPerSecond: perSecond(2).describe(
        "Mutations that fail or change nothing, which the audit log records; a burst may use 300 s' worth.",
      ),
      streams: atOnce(64).describe("Watches, subscriptions and consoles open at once."),
      waits: atOnce(256).describe("WaitOperation calls open at once."),
    })
    .prefault({})
    .describe(
      "Limits of one caller, or of all callers of a tenant together; a burst may use five seconds' worth of a rate.",
    ),
});

const metrics = z.strictObject({
  listen: hostPort
    .nullable()
    .default("127.0.0.1:9177")
    .describe(
      "Address of the status page, /metrics, /healthz and /readyz; null switches them off. Plain HTTP for any client, also with trust.domain: bind it to loopback or a management network.",
    ),
  page: flag(true).describe(
    "The status page at /, for any client that reaches the address: read-only, without a login.",
  ),
  disabledCollectors: z.array(z.string().max(63)).default([]).describe("Collectors to omit from a scrape."),
});

const scheduler = z.strictObject({
  address: noAddress.describe(
    "The scheduler the agent reports to; null: none. Without trust.domain only a loopback address is accepted, with trust.insecureLoopback.",
  ),
  advertise: noAddress.describe("Where the scheduler reaches this agent's API. Default: api.listen."),
});

const trust = z.strictObject({
  domain: z
    .string()
    .regex(/^[a-z0-9._-]{1,255}$/, "must be a trust domain, for example cloud.example")
    .nullable()
    .default(null)
    .describe(
      "The cloud's trust domain. With it, all gRPC over TCP is mutual TLS 1.3 with certificates of the domain: spiffe://DOMAIN/ROLE/NAME. null: no TLS, only the unix socket (but see insecureLoopback).",
    ),
  insecureLoopback: z
    .literal("development")
    .nullable()
    .default(null)
    .describe(
      "development: without trust.domain, opens loopback TCP without TLS. Every process of this machine can then act as the scheduler: never use it on a shared machine. null: only the unix socket.",
    ),
  directory: absolutePath
    .default("/var/lib/socle/trust")
    .describe(
      "Directory of agent.crt, agent.key, ca.crt and optionally ca.crl; re-read when they change. The credential socle-agent-key takes precedence over agent.key.",
    ),
  enrollAt: noAddress.describe(
    "Where a host without a certificate enrolls automatically, with the credential socle-enrollment-token. null: only by socle enroll.",
  ),
});

const people = z.strictObject({
  keys: noPath.describe(
    "The identity provider's public keys (PEM, or a JWK set; Ed25519 or P-256), which verify people's tokens; re-read on reload. null: no token is accepted.",
  ),
  issuer: claim.describe("Required issuer of tokens (iss)."),
  audience: claim.describe(
    "Required audience of tokens (aud): a name for the whole fleet. This host's UUID is also accepted.",
  ),
  required: z
    .enum(["off", "network", "everywhere"])
    .default("off")
    .describe("Where mutations without a person's token are rejected. everywhere: also at the unix socket."),
  requiredOf: z
    .array(z.enum(["operator", "admin", "scheduler", "auditor"]))
    .default(["operator", "admin"])
    .describe("The roles that need a token."),
  maxAgeMinutes: number(1, 1440, 60).describe("Older tokens are rejected, even before they expire."),
  breakGlass: flag(true).describe(
    "Whether callers at the unix socket may act without a token by socle --break-glass REASON. Each use sets a condition and is audited.",
  ),
});

const state = z.strictObject({
  directory: absolutePath.default("/var/lib/socle").describe("Journal, event log and counters. Mode 0700."),
  operationRetentionHours: number(24, 8760, 24).describe(
    "How long ended operations and their request ids are kept.",
  ),
  maxEvents: whole(1000, 1000000, 10000).describe("Events kept for subscribers that reconnect."),
});

const audit = z.strictObject({
  retentionDays: number(1, 3650, 190).describe(
    "How long audit entries are kept at least; half a year has 184 days.",
  ),
  maxMiB: z
    .number()
    .int()
    .min(64)
    .nullable()
    .default(null)
    .describe(
      "A larger audit log loses its oldest entries early. null: it loses none, and mutations are rejected once the disk is full.",
    ),
  journal: flag(true).describe(
    "Whether each entry also goes to systemd's journal: journalctl -t socle-audit.",
  ),
  syslog: noAddress.describe(
    "A collector that receives each entry by syslog over TLS (RFC 5425); null: none.",
  ),
  syslogAuthorities: noPath.describe(
    "The authorities (PEM) that verify its certificate. Default: ca.crt of trust.directory.",
  ),
});

const log = z.strictObject({
  level: z
    .enum(["trace", "debug", "info", "warn", "error"])
    .default("info")
    .describe("Lowest level that is logged."),
});

export const configSchema = z.strictObject({
  host: host.prefault({}),
  libvirt: libvirt.prefault({}),
  vm: vm.prefault({}),
  guest: guest.prefault({}),
  backups: backups.prefault({}),
  tenants: tenantsSchema.prefault({}),
  images: images.prefault({}),
  bmc: bmc.prefault({}),
  api: api.prefault({}),
  metrics: metrics.prefault({}),
  scheduler: scheduler.prefault({}),
  trust: trust.prefault({}),
  people: people.prefault({}),
  state: state.prefault({}),
  audit: audit.prefault({}),
  health: healthSchema.prefault({}),
  log: log.prefault({}),
});

/** The agent's whole configuration with all defaults. */
export type Config = z.output<typeof configSchema>;
