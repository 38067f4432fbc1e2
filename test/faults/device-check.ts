/** A VM's disks by name, from independent sources, once no operation is under way. */
export interface DisksSeen {
  /** GetVm's spec: the capacity of each disk that was made for the VM, undefined for others. */
  readonly spec: ReadonlyMap<string, number | undefined>;
  /** The aliases in virsh dumpxml --inactive. */
  readonly defined: readonly string[];
  /** The aliases in virsh dumpxml; undefined: no guest runs. */
  readonly live: readonly string[] | undefined;
  /** Capacities of the volumes in the pool that were made for the VM, by the disk's name, as qemu-img measures them. */
  readonly volumes: ReadonlyMap<string, number>;
  /** The VM's share of its tenant's use of disks, as the agent's ledger has it. */
  readonly ledgerBytes: number;
  /** The limits of writes per second by disk: in GetVm's spec, then in virsh dumpxml --inactive and, of a guest, in virsh dumpxml. */
  readonly writeIops?: readonly string[];
  /** The pool of each disk that was made for the VM: in GetVm's spec, where its files are, in the definition and in the guest. */
  readonly pools?: readonly string[];
  /** The medium of the CD-ROM drive: in GetVm's spec, in the definition and in the guest. */
  readonly media?: readonly string[];
  /** The NICs with their links: in GetVm's spec, in the definition and in the guest. */
  readonly nics?: readonly string[];
}

/** The facts that disagree; none if all is well. */
export function disagreements({
  spec,
  defined,
  live,
  volumes,
  ledgerBytes,
  writeIops = [],
  pools = [],
  media = [],
  nics = [],
}: DisksSeen): string[] {
  const found: string[] = [];
  const compare = (what: string, names: Iterable<string>, wanted: Iterable<string>): void => {
    const [has, should] = [[...names].sort().join(" "), [...wanted].sort().join(" ")];
    if (has !== should) found.push(`${what} has [${has}], the spec [${should}]`);
  };
  const own = [...spec].flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes] as const]));
  compare("the definition", defined, spec.keys());
  if (live !== undefined) compare("the running guest", live, spec.keys());
  compare(
    "the pool",
    volumes.keys(),
    own.map(([name]) => name),
  );
  for (const [name, bytes] of own)
    if (volumes.has(name) && volumes.get(name) !== bytes)
      found.push(`the volume of ${name} has ${volumes.get(name)} bytes, the spec ${bytes}`);
  const sum = own.reduce((all, [, bytes]) => all + bytes, 0);
  if (ledgerBytes !== sum) found.push(`the ledger counts ${ledgerBytes} bytes, the spec has ${sum}`);
  if (new Set(writeIops).size > 1)
    found.push(`the limits of spec, definition and guest: ${writeIops.join("; ")}`);
  if (new Set(pools).size > 1)
    found.push(`the pools of spec, files, definition and guest: ${pools.join("; ")}`);
  if (new Set(media).size > 1) found.push(`the media of spec, definition and guest: ${media.join("; ")}`);
  if (new Set(nics).size > 1) found.push(`the NICs of spec, definition and guest: ${nics.join("; ")}`);
  return found;
}
