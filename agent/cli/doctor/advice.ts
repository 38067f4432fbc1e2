import type { Condition__Output } from "../../gen/socle/v1/Condition.ts";

type Advice = Readonly<Record<string, string | undefined>>;

/** Advice on an open condition: by reason where that differs, else by type. */
export function adviceOn({ type, reason }: Pick<Condition__Output, "type" | "reason">): string {
  if (reason === "NotWatched")
    return "The agent cannot watch this, which is not a fault of the host. The evidence shows how to enable it.";
  return (
    reasonAdvice[type]?.[reason] ??
    conditionAdvice[type] ??
    "This socle is older than the condition. See its evidence, and runbooks.md of the agent's version."
  );
}

const guestsOnKvm =
  "It ends by itself when guests run on KVM; VMs with the accelerator KVM may still be started. If that guest was at fault: socle health ack KvmUnavailable. Else look at dmesg.";

const reasonAdvice: Readonly<Record<string, Advice | undefined>> = {
  KvmUnavailable: { GuestFailedOnKvm: guestsOnKvm, StartFailsOnKvm: guestsOnKvm },
  StateUnwritable: {
    JournalFull: "Free space on the disk of the state directory; changes then resume by themselves.",
    JournalFailed: "Check the disk that the evidence names (dmesg, mount, smartctl), then restart the agent.",
    StateLost:
      "Put the state directory back as it was, or restore it from a backup; restart the agent only after that: otherwise it begins with an empty state.",
  },
  HypervisorInUse: {
    LeaseHeldByAnotherAgent:
      "Stop one of the two agents; the evidence names the other. If that one is gone for good, remove its secret: virsh secret-list, virsh secret-undefine UUID.",
    LeaseRefused:
      "Check that libvirt lists and accepts secrets (virsh secret-list) and that their disk has room; the agent then continues by itself.",
  },
  AuditLog: {
    Unreadable: "Correct the file as the evidence advises, then restart the agent.",
    Damaged:
      "Run socle audit verify, compare with a checkpoint kept elsewhere, find out who did it, then: socle health ack AuditLog.",
    ForwardingBehind:
      "Check that this host reaches the sink that the evidence names, and that it accepts entries.",
  },
};

/** Every condition of this agent version. */
export const conditionAdvice: Advice = {
  LibvirtUnresponsive:
    "Look at libvirt: journalctl -u libvirtd; systemctl restart libvirtd leaves guests running.",
  KvmUnavailable: "Check the firmware's virtualisation and /dev/kvm; or set vm.accelerator to tcg.",
  VmStartFailures:
    "Look at the VMs that the evidence names and at libvirt's log; it ends once a VM starts, or after a time without failures.",
  VmUnreadable:
    "Repair the metadata of the VMs that the evidence names (virsh dumpxml, virsh metadata), or delete them: socle vm rm VM --keep-disks.",
  StoragePool:
    "Mount or repair what the pool lies on, then: virsh pool-start POOL, virsh pool-refresh POOL. The evidence names the pool.",
  VolumeSuspicious:
    "A guest, or the author of a file, wrote the header of another format. Find out who uses the volumes that the evidence names (socle volume ls --pool POOL). Nothing opens them: read what is wanted as the format of the name (qemu-img convert -f raw), then remove the file.",
  ClockUnsynced:
    "Run chrony or systemd-timesyncd, where this agent can query it; or set health.requireSyncedClock to false.",
  DiskSpace: "Free space, or move volumes to another pool.",
  FilesystemReadOnly:
    "Look at dmesg and check the disk; repair the filesystem (fsck), then mount it for writing.",
  DiskFailing: "Move the VMs and volumes away, then replace the disk that the evidence names.",
  DiskWear: "Plan the replacement of the disk that the evidence names.",
  RaidDegraded: "Replace the failed disk of the array and add the new one: mdadm --detail, mdadm --add.",
  BondDegraded: "Check the cables, the switch ports and the interfaces of the bond that the evidence names.",
  MemoryPressure: "Stop or move VMs, or lower the overcommit ratio.",
  Thermal: "Check the fans, the air flow and the room; move VMs away.",
  Fan: "Replace the fan that the evidence names.",
  Psu: "Replace the power supply, or give it power again.",
  MemoryUncorrected: "Move the VMs away, replace the DIMM, reboot, then acknowledge.",
  MemoryCorrected: "Replace the DIMM that the evidence names at the next occasion.",
  PcieErrors: "Reseat or replace the device that the evidence names.",
  KernelFault: "Look at dmesg; a reboot may be due.",
  CertificateExpiring:
    "socle trust shows why renewal failed. Check that this host reaches its authority; else enroll it again.",
  TrustRefused: "socle trust shows what was refused and why; correct the files, or the authority's answer.",
  RevocationsRolledBack:
    "Put the newest ca.crl into the trust directory, or have the authority issue one; where it renews this host, it is asked at once.",
  RevocationsExpired: "Put a newer ca.crl into the trust directory, or have the authority send one.",
  AgentImpaired: "The agent reacts late, mostly for lack of CPU: look at the host's load.",
  StateUnwritable: "Make the state directory writable as the evidence advises, then restart the agent.",
  StateUnreadable:
    "Correct the file as the evidence advises (mostly: restore it from a backup, correct its owner or mode, or run the version that wrote it), then restart the agent.",
  HypervisorInUse: "Make sure that only this agent drives this libvirt; the evidence names the conflict.",
  AuditLog: "Run socle audit verify; the evidence names the fault.",
  VolumeKey:
    "Bring back the volume key that the evidence names: the credential socle-volume-key (systemctl restart socle-agent takes it), or the file vm.volumeKeyFile.",
  BreakGlass:
    "socle audit show lists who did what and why. Find out whether it was needed, then: socle health ack BreakGlass.",
};
