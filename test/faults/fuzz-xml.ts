import { pythonTrees, type Tree } from "../support/libvirt/xml/oracles.ts";

/**
 * The allowed nesting of elements in Socle's domain XML. Duplicated on purpose: the builder's own rules cannot show that the
 * builder follows them.
 */
const allowed: Readonly<Record<string, string>> = {
  domain:
    "name uuid title description metadata maxMemory memory currentMemory memtune memoryBacking vcpu vcpus iothreads cputune numatune os features cpu clock on_poweroff on_reboot on_crash devices launchSecurity",
  metadata: "{urn:socle:vm:1}vm",
  "{urn:socle:vm:1}vm":
    "{urn:socle:vm:1}tenant {urn:socle:vm:1}labels {urn:socle:vm:1}spec {urn:socle:vm:1}specDigest {urn:socle:vm:1}placementEpoch {urn:socle:vm:1}createdAt {urn:socle:vm:1}accelerator {urn:socle:vm:1}placement {urn:socle:vm:1}keys {urn:socle:vm:1}snapshots {urn:socle:vm:1}rescue {urn:socle:vm:1}backups {urn:socle:vm:1}unstarted {urn:socle:vm:1}seed",
  "{urn:socle:vm:1}keys": "{urn:socle:vm:1}key",
  memtune: "hard_limit",
  launchSecurity: "policy",
  "{urn:socle:vm:1}labels": "{urn:socle:vm:1}label",
  memoryBacking: "hugepages nosharepages locked source access allocation",
  hugepages: "page",
  source: "encryption address pagesize nodemask",
  vcpus: "vcpu",
  cputune: "shares period quota vcpupin emulatorpin iothreadpin",
  numatune: "memory memnode",
  os: "type firmware loader nvram kernel initrd cmdline boot",
  firmware: "feature",
  features: "acpi apic pae smm vmport kvm ioapic tcg",
  kvm: "hidden",
  tcg: "tb-cache",
  cpu: "model vendor topology feature numa",
  numa: "cell",
  clock: "timer",
  devices:
    "emulator disk interface controller serial console channel rng memballoon watchdog tpm video hostdev input panic vsock memory graphics",
  disk: "driver source target iotune readonly shareable serial boot alias",
  encryption: "secret",
  target: "model size node block requested address",
  iotune:
    "total_bytes_sec read_bytes_sec write_bytes_sec total_iops_sec read_iops_sec write_iops_sec " +
    "total_bytes_sec_max read_bytes_sec_max write_bytes_sec_max total_iops_sec_max read_iops_sec_max write_iops_sec_max " +
    "total_bytes_sec_max_length read_bytes_sec_max_length write_bytes_sec_max_length " +
    "total_iops_sec_max_length read_iops_sec_max_length write_iops_sec_max_length",
  serial: "source log target alias",
  interface: "mac source target model driver filterref mtu boot link bandwidth alias",
  bandwidth: "inbound outbound",
  filterref: "parameter",
  controller: "model target driver alias",
  console: "source log target alias",
  channel: "source target alias",
  rng: "rate backend",
  backend: "encryption",
  memballoon: "stats",
  tpm: "backend",
  video: "model",
  hostdev: "source driver boot rom alias",
  vsock: "cid",
  memory: "source target alias address",
  graphics: "listen",
};
const children = new Map(Object.entries(allowed).map(([name, names]) => [name, new Set(names.split(" "))]));

/** Documents that Python's parser rejects, or in which it finds a misplaced element. */
export function foreignElements(
  documents: readonly { readonly input: number; readonly text: string }[],
): { input: number; problem: string }[] {
  if (documents.length === 0) return [];
  return pythonTrees(documents.map(({ text }) => text)).flatMap((tree, at) => {
    const { input, text } = documents[at] as (typeof documents)[number];
    const problems = tree === null ? ["no XML"] : tree[0] === "domain" ? foreign(tree) : [`a <${tree[0]}>`];
    return problems.map((what) => ({ input, problem: `XML was built with ${what}: ${text.slice(0, 2000)}` }));
  });
}

function foreign([name, , , members]: Tree): string[] {
  const may = children.get(name);
  return members.flatMap((member) =>
    may?.has(member[0]) === true ? foreign(member) : [`<${member[0]}> in <${name}>`],
  );
}
