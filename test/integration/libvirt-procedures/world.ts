import { join } from "node:path";
import { silentLog } from "../../../agent/kernel/log.ts";
import { Libvirt, type TypedParameter } from "../../../agent/libvirt/index.ts";
import { guestFilesIn, guestXml, type GuestFiles, type GuestXmlOptions } from "../../support/guest.ts";
import { Libvirtd } from "../../support/libvirtd.ts";
import { virsh } from "../../support/virsh.ts";
import { EventRecorder } from "./event-recorder.ts";
import { Ledger, type Proof } from "./ledger.ts";

/** The proofs of one area, in order. */
export type Proofs = Readonly<Record<string, (world: World) => Promise<void>>>;

/** A private host with its QEMU and test drivers, and another for guests to migrate to. */
export interface World {
  readonly ledger: Ledger;
  readonly host: Libvirtd;
  readonly libvirt: Libvirt;
  readonly on: Proof;
  /** libvirt's test driver, for features that Debian's QEMU driver or the machine lacks. */
  readonly onTestDriver: Proof;
  readonly destination: Libvirtd;
  readonly onDestination: Proof;
  readonly recorder: EventRecorder;
  readonly files: GuestFiles;
  /** The independent check: libvirt's own client. */
  readonly virsh: (...args: readonly string[]) => Promise<string>;
  /** A file that the host's guests can reach. */
  readonly path: (name: string) => string;
  /** A minimal guest, with more devices. */
  readonly xml: (name: string, options?: Partial<GuestXmlOptions>) => string;
  readonly close: () => Promise<void>;
}

// Guests run as root, so that the two hosts of a migration can share their sockets.
const qemuConf = [`user = "root"`, `group = "root"`];

export async function makeWorld(): Promise<World> {
  const closing: (() => Promise<void> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const each of closing.reverse()) await each();
  };
  const start = async (): Promise<Libvirtd> => {
    const host = await Libvirtd.start({ qemuConf });
    closing.push(() => host.stop());
    return host;
  };
  const connect = async (uri: string): Promise<Libvirt> => {
    const libvirt = await Libvirt.connect({ uri, log: silentLog });
    closing.push(() => libvirt.close());
    return libvirt;
  };
  try {
    const ledger = new Ledger();
    const host = await start();
    const destination = await start();
    const files = await guestFilesIn(host.imagesDirectory);
    const libvirt = await connect(host.uri);
    const recorder = await EventRecorder.open(host.socketPath, ledger);
    closing.push(() => recorder.close());
    return {
      ledger,
      host,
      libvirt,
      on: ledger.by(libvirt),
      onTestDriver: ledger.by(await connect(`test:///default?socket=${host.socketPath}`)),
      destination,
      onDestination: ledger.by(await connect(destination.uri)),
      recorder,
      files,
      virsh: (...args) => virsh(host.uri, args),
      path: (name) => join(host.imagesDirectory, name),
      xml: (name, options = {}) => guestXml({ name, boot: { bootSector: files.bootSector }, ...options }),
      close,
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** virsh's output after `name:`. */
export function printed(output: string, name: string): string | undefined {
  const line = output.split("\n").find((each) => each.trim().startsWith(`${name}:`));
  return line?.slice(line.indexOf(":") + 1).trim();
}

/** virsh's output lines, sorted. */
export function lines(output: string): string[] {
  const all = output.split("\n").map((line) => line.trim());
  return all.filter((line) => line !== "").sort();
}

export function names(objects: readonly { readonly name: string }[]): string[] {
  return objects.map(({ name }) => name).sort();
}

export const ullong = (field: string, value: number): TypedParameter => {
  return { field, value: { type: "ullong", value } };
};
export const uint = (field: string, value: number): TypedParameter => ({
  field,
  value: { type: "uint", value },
});
export const text = (field: string, value: string): TypedParameter => {
  return { field, value: { type: "string", value } };
};

export function valueOf(
  params: readonly TypedParameter[],
  field: string,
): number | boolean | string | undefined {
  return params.find((each) => each.field === field)?.value.value;
}
