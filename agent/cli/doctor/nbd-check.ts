import { access, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../../kernel/thrown.ts";
import { errorWord, speaker, type Finding } from "./finding.ts";

const FILES = ["ca-cert.pem", "server-cert.pem", "server-key.pem"];

/**
 * Whether QEMU has certificates for backups over TLS, and asks clients for theirs: libvirt decides that by qemu.conf. Undefined if the
 * host serves none. `etc`: only for tests.
 */
export async function checkNbdCertificates(
  address: string | null,
  etc = "/etc",
): Promise<Finding | undefined> {
  if (address === null) return undefined;
  const say = speaker("nbd");
  const path = join(etc, "libvirt/qemu.conf");
  try {
    const conf = valuesOf(await readFile(path, "utf8").catch(ifMissing));
    const of = (name: string): string | undefined =>
      conf.get(`backup_tls_x509_${name}`) ?? conf.get(`default_tls_x509_${name}`);
    if (of("verify") === "0")
      return say.fail(
        `${path} has backup_tls_x509_verify = 0: each program that reaches ${address} can read open backups`,
        "Set it to 1, and restart libvirt: that leaves guests running.",
      );
    const own = join(etc, "pki/libvirt-backup");
    const isOwn = await stat(own).then(
      () => true,
      () => false,
    );
    const directory = of("cert_dir") ?? (isOwn ? own : join(etc, "pki/qemu"));
    for (const file of FILES) {
      const why = await access(join(directory, file)).then(() => undefined, errorWord);
      if (why !== undefined)
        return say.fail(
          `QEMU cannot serve backups over TLS: ${join(directory, file)} cannot be read (${why})`,
          "Put ca-cert.pem, server-cert.pem and server-key.pem there, readable for QEMU's user, or set backup_tls_x509_cert_dir in qemu.conf.",
        );
    }
    return say.ok(`QEMU serves backups over TLS at ${address}, with the certificates in ${directory}`);
  } catch (cause) {
    return say.warn(`${path} cannot be read: ${errorWord(cause)}`, "Run socle doctor as root.");
  }
}

function ifMissing(thrown: unknown): string {
  if (codeOf(thrown) === "ENOENT") return "";
  throw thrown;
}

/** The last value counts. */
const valuesOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    [...text.matchAll(/^\s*(\w+)\s*=\s*"?([^"\n]*?)"?\s*$/gm)].map(([, name = "", value = ""]) => [
      name,
      value,
    ]),
  );
