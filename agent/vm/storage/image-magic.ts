/** First bytes of formats that programs detect, with their position: in most of them a file can refer to other files. */
const formats: readonly (readonly [name: string, position: number, magic: string])[] = [
  ["qcow2", 0, "QFI\u00fb"],
  ["qed", 0, "QED\0"],
  ["vmdk", 0, "KDMV"],
  ["vmdk", 0, "COWD"],
  ["vmdk", 0, "# Disk DescriptorFile"],
  ["vhd", 0, "conectix"],
  ["vhdx", 0, "vhdxfile"],
  ["vdi", 64, "\u007f\u0010\u00da\u00be"],
  ["parallels", 0, "WithoutFreeSpace"],
  ["parallels", 0, "WithouFreSpacExt"],
  ["cow", 0, "OOOM"],
  ["bochs", 0, "Bochs Virtual HD Image"],
  ["luks", 0, "LUKS\u00ba\u00be"],
];

/** No magic ends behind them. */
export const MAGIC_BYTES = 512;

/** The formats that a program may see in a file that begins with these bytes (`MAGIC_BYTES` of them, or all). */
export const formatsSeenIn = (head: Buffer): readonly string[] =>
  formats.flatMap(([name, position, magic]) => (startsWith(head, position, magic) ? [name] : []));

const startsWith = (head: Buffer, position: number, magic: string): boolean =>
  head.subarray(position, position + magic.length).equals(Buffer.from(magic, "latin1"));
