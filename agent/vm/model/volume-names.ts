/**
 * The volume made for a VM's disk. The VM's id in it keeps it from being made for another; that no other takes it by its
 * name while a VM has it, volume-users.ts sees to.
 */
export const volumeName = (vmId: string, diskName: string, format: string): string =>
  `socle-${vmId}-${diskName}.${format}`;

/** The id of the VM that a volume was made for; undefined where it was made for none. */
export const vmOfVolume = (volume: string): string | undefined => /^socle-([0-9a-f-]{36})-/.exec(volume)?.[1];

/**
 * A volume's format is what its name says, never what its bytes look like: those are the guest's to write, and a raw disk
 * that pretends to be an overlay would have the host open any file for it.
 */
export const formatOf = (volume: string): "qcow2" | "raw" => (volume.endsWith(".qcow2") ? "qcow2" : "raw");
