/** A disk's limits by libvirt's name for each: that of its element in the XML, and of its typed parameter. */
export const ioTuneNames = {
  totalBytesPerSecond: "total_bytes_sec",
  readBytesPerSecond: "read_bytes_sec",
  writeBytesPerSecond: "write_bytes_sec",
  totalOpsPerSecond: "total_iops_sec",
  readOpsPerSecond: "read_iops_sec",
  writeOpsPerSecond: "write_iops_sec",
  // In a burst. Each needs its limit.
  totalMaxBytesPerSecond: "total_bytes_sec_max",
  readMaxBytesPerSecond: "read_bytes_sec_max",
  writeMaxBytesPerSecond: "write_bytes_sec_max",
  totalMaxOpsPerSecond: "total_iops_sec_max",
  readMaxOpsPerSecond: "read_iops_sec_max",
  writeMaxOpsPerSecond: "write_iops_sec_max",
  // How long a burst may last. Each needs its burst.
  totalMaxBytesSeconds: "total_bytes_sec_max_length",
  readMaxBytesSeconds: "read_bytes_sec_max_length",
  writeMaxBytesSeconds: "write_bytes_sec_max_length",
  totalMaxOpsSeconds: "total_iops_sec_max_length",
  readMaxOpsSeconds: "read_iops_sec_max_length",
  writeMaxOpsSeconds: "write_iops_sec_max_length",
} as const;

type IoTuneMember = keyof typeof ioTuneNames;

/** Zero is no limit, and no burst. */
export type IoTune = { readonly [Member in IoTuneMember]?: number };

export const ioTuneMembers = Object.keys(ioTuneNames) as IoTuneMember[];

/** Seconds of 0 are QEMU's default of 1: libvirt shows 1 for a burst that is gone while its limit stays. */
export const isSameIoTune = (one: IoTune, other: IoTune): boolean =>
  ioTuneMembers.every((member) => {
    const absent = ioTuneNames[member].endsWith("_max_length") ? 1 : 0;
    return (one[member] || absent) === (other[member] || absent);
  });
