import { relative } from "node:path";
import type { Config } from "./schema.ts";

/** A problem or warning about the key at `path`, for the operator. */
export interface Finding {
  readonly path: readonly (string | number)[];
  readonly text: string;
}

// sun_path of unix(7) holds 108 bytes, the closing NUL included.
const maxSocketPathBytes = 107;
/** Leaves room for a VM's id and a word: UUID.WORD. */
const maxSocketDirectoryBytes = 56;

/** Folders of the package: a purge, or setting up the host anew, deletes them. */
const packageFolders = ["/etc/socle", "/var/lib/socle", "/run/socle"];

/** Checks across keys: problems reject the configuration, warnings do not. */
export function crossCheck(config: Config): { problems: Finding[]; warnings: Finding[] } {
  const problems: Finding[] = [];
  const warnings: Finding[] = [];
  const { api, audit, bmc, metrics, people, scheduler, health, vm } = config;
  const named: [path: [string, string], value: string | null][] = [
    [["api", "listen"], api.listen],
    [["metrics", "listen"], metrics.listen],
    [["scheduler", "address"], scheduler.address],
    [["scheduler", "advertise"], scheduler.advertise],
    [["audit", "syslog"], audit.syslog],
    [["trust", "enrollAt"], config.trust.enrollAt],
  ];
  const at = new Map<string, Address>();
  for (const [path, value] of named) {
    if (value === null) continue;
    const address = parseAddress(value);
    if (address === undefined) problems.push({ path, text: `"${value}" is not an address` });
    else at.set(path.join("."), address);
  }

  const mustBeLoopback = [
    ["api.listen", "would let anyone who reaches it run VMs here"],
    ["scheduler.address", "would be sent this host's state unprotected"],
  ] as const;
  const { domain, insecureLoopback } = config.trust;
  for (const [name, why] of mustBeLoopback) {
    const address = at.get(name);
    if (address === undefined || domain !== null) continue;
    const path = name.split(".");
    if (!isLoopback(address)) {
      const text = `only a loopback address is accepted without trust.domain: ${address.text} ${why}; set it, and enroll this host`;
      problems.push({ path, text });
    } else if (insecureLoopback === null) {
      const text = `needs trust.domain: without TLS every process of this machine can act as the scheduler. Set trust.domain and enroll this host; on a development machine set trust.insecureLoopback: development`;
      problems.push({ path, text });
    } else {
      const text = `${address.text} is open without TLS (trust.insecureLoopback): every process of this machine can act as the scheduler`;
      warnings.push({ path, text });
    }
  }
  const shown = at.get("metrics.listen");
  if (shown !== undefined && !isLoopback(shown)) {
    const text = `anyone who reaches ${shown.text} can read the metrics (they cannot change anything)`;
    warnings.push({ path: ["metrics", "listen"], text });
  }
  const [grpc, target] = [at.get("api.listen"), at.get("scheduler.address")];
  if (grpc !== undefined && shown !== undefined && collide(grpc, shown)) {
    const text = `${shown.text} is taken by api.listen; give each its own port`;
    problems.push({ path: ["metrics", "listen"], text });
  }
  if (target !== undefined && grpc !== undefined && collide(target, grpc)) {
    const text = `${target.text} is this agent's own api.listen, not a scheduler`;
    problems.push({ path: ["scheduler", "address"], text });
  }

  if (config.trust.enrollAt !== null && config.trust.domain === null)
    problems.push({ path: ["trust", "enrollAt"], text: "needs trust.domain, the domain to enroll in" });
  if (audit.syslog !== null && audit.syslogAuthorities === null && config.trust.domain === null) {
    const text = "is needed for syslog without trust.domain: it verifies the collector's certificate";
    problems.push({ path: ["audit", "syslogAuthorities"], text });
  }
  if (people.keys !== null) {
    for (const key of ["issuer", "audience"] as const) {
      if (people[key] === null)
        problems.push({
          path: ["people", key],
          text: "is needed for people.keys: tokens are checked against it",
        });
    }
  } else if (people.required !== "off") {
    const text = "is needed if people.required demands tokens: it verifies them";
    problems.push({ path: ["people", "keys"], text });
  }
  if (bmc.interface === "lanplus") {
    for (const key of ["address", "user"] as const) {
      if (bmc[key] === null)
        problems.push({ path: ["bmc", key], text: "is needed for the interface lanplus" });
    }
  }
  const { volumeKeyFile } = vm;
  const swept = [config.state.directory, ...packageFolders].find(
    (folder) => volumeKeyFile !== null && isBelow(folder, volumeKeyFile),
  );
  if (swept !== undefined) {
    const text = `must not be below ${swept}, which is deleted with the package or with the agent's state, and no encrypted disk opens without its key; move it to a folder of its own, for example /etc/socle-keys, or make it the credential socle-volume-key`;
    problems.push({ path: ["vm", "volumeKeyFile"], text });
  }
  problems.push(...tenantProblems(config));
  const socketBytes = Buffer.byteLength(api.socket);
  if (socketBytes > maxSocketPathBytes) {
    const text = `a socket's path has at most ${maxSocketPathBytes} bytes, this one has ${socketBytes}`;
    problems.push({ path: ["api", "socket"], text });
  }
  const directoryBytes = Buffer.byteLength(config.guest.socketDirectory);
  if (directoryBytes > maxSocketDirectoryBytes) {
    const text = `has at most ${maxSocketDirectoryBytes} bytes, so that sockets fit below it; this one has ${directoryBytes}`;
    problems.push({ path: ["guest", "socketDirectory"], text });
  }
  if (health.libvirtProbeTimeoutSeconds > health.libvirtProbeSeconds) {
    const text = `is longer than libvirtProbeSeconds (${health.libvirtProbeSeconds}): a hung libvirt is seen late`;
    warnings.push({ path: ["health", "libvirtProbeTimeoutSeconds"], text });
  }
  if (health.diskSpaceMinRatio * health.headroom >= 1) {
    const text = `times headroom (${health.headroom}) is more than a whole filesystem: DiskSpace could never be left`;
    problems.push({ path: ["health", "diskSpaceMinRatio"], text });
  }
  if (health.thermalGoodMarginCelsius < health.thermalMarginCelsius) {
    const text = `must be at least thermalMarginCelsius (${health.thermalMarginCelsius}), below which Thermal is entered`;
    problems.push({ path: ["health", "thermalGoodMarginCelsius"], text });
  }
  return { problems, warnings };
}

/** A tenant's allow-lists must name bridges and devices of this host. */
function tenantProblems({ host, tenants, vm }: Config): Finding[] {
  const entries = [
    [["default"], tenants.default] as const,
    ...Object.entries(tenants.byName).map(([name, rules]) => [["byName", name], rules] as const),
  ];
  return entries.flatMap(([where, { bridges = [], devices = [] }]) => [
    ...bridges
      .filter((bridge) => !vm.bridges.includes(bridge))
      .map((bridge) => ({
        path: ["tenants", ...where, "bridges"],
        text: `${bridge} is not among vm.bridges; add it there`,
      })),
    ...devices
      .filter((device) => !device.includes(":") && !Object.hasOwn(host.deviceAliases, device))
      .map((device) => ({
        path: ["tenants", ...where, "devices"],
        text: `${device} is neither a name of host.deviceAliases nor a PCI address`,
      })),
  ]);
}

interface Address {
  readonly text: string;
  readonly host: string;
  readonly port: number;
}

/** The URL parser distinguishes IPv4, IPv6 and host names, and normalises each. */
function parseAddress(text: string): Address | undefined {
  if (!URL.canParse(`http://${text}`)) return undefined;
  const port = Number(text.slice(text.lastIndexOf(":") + 1));
  return { text, host: new URL(`http://${text}`).hostname, port };
}

const isLoopback = ({ host }: Address): boolean =>
  host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);

const isAny = ({ host }: Address): boolean => host === "0.0.0.0" || host === "[::]";

/** Whether two listeners conflict. Port 0 picks a free port each time. */
const collide = (a: Address, b: Address): boolean =>
  a.port === b.port && a.port !== 0 && (a.host === b.host || isAny(a) || isAny(b));

const isBelow = (folder: string, path: string): boolean => !/^\.\.(\/|$)/.test(relative(folder, path));
