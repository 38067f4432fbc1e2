import { X509Certificate } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { codeOf } from "../../kernel/thrown.ts";
import { errorWord, speaker, type Finding } from "./finding.ts";

const restart = "Then restart libvirt, which leaves guests running, and end open backups.";

/** Whether QEMU has certificates for backups over TLS, and clients need one. Undefined: the host serves none. `etc`: for tests. */
export async function checkNbdCertificates(
  address: string | null,
  etc = "/etc",
): Promise<Finding | undefined> {
  if (address === null) return undefined;
  const say = speaker("nbd");
  const path = join(etc, "libvirt/qemu.conf");
  try {
    const conf = valuesOf(await readFile(path, "utf8").catch(ifMissing));
    const verify = conf.get("backup_tls_x509_verify") ?? conf.get("default_tls_x509_verify") ?? "1";
    if (verify !== "1")
      return say.fail(
        `${path} has ${verify} for backup_tls_x509_verify: programs that reach ${address} need no certificate to read open backups`,
        `Set backup_tls_x509_verify = 1. ${restart}`,
      );
    const own = join(etc, "pki/libvirt-backup");
    const chosen = conf.get("backup_tls_x509_cert_dir") ?? ((await isDirectory(own)) ? own : undefined);
    const directory = chosen ?? conf.get("default_tls_x509_cert_dir") ?? join(etc, "pki/qemu");
    const problem = await problemOf(directory, address);
    if (problem !== undefined)
      return say.fail(
        `QEMU cannot serve backups over TLS: ${problem}`,
        `Put ca-cert.pem, server-cert.pem and server-key.pem for ${address} into ${chosen ?? own}, readable for QEMU's user. ${restart}`,
      );
    if (chosen === undefined)
      return say.warn(
        `backups over TLS have the certificates of ${directory}, which QEMU also has for other uses: each client of those can read open backups`,
        `Make an authority for backups alone, with its certificates in ${own}. ${restart}`,
      );
    return say.ok(
      `${directory} has certificates for backups over TLS at ${address}; clients need one of its authority`,
    );
  } catch (cause) {
    return say.warn(
      `the certificates for backups over TLS cannot be inspected: ${errorWord(cause)}`,
      "Run socle doctor as root.",
    );
  }
}

/** Throws for what only root can read. */
async function problemOf(directory: string, address: string): Promise<string | undefined> {
  const missing = (thrown: unknown): undefined => {
    if (codeOf(thrown) !== "ENOENT") throw thrown;
  };
  for (const name of ["ca-cert.pem", "server-cert.pem", "server-key.pem"]) {
    const path = join(directory, name);
    const found = await stat(path).catch(missing);
    if (found === undefined) return `there is no ${path}`;
    if (found.uid === 0 && (found.mode & 0o044) === 0) return `only root may read ${path}`;
  }
  const certificate = new X509Certificate(await readFile(join(directory, "server-cert.pem")));
  if (Date.parse(certificate.validTo) < Date.now())
    return `the certificate in ${directory} has expired (${certificate.validTo})`;
  if (certificate.checkIP(address) === undefined)
    return `the certificate in ${directory} is not for ${address}`;
  return undefined;
}

const isDirectory = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

function ifMissing(thrown: unknown): string {
  if (codeOf(thrown) === "ENOENT") return "";
  throw thrown;
}

/** As libvirt reads it (virconf.c): the first value of a name counts, and a comment may follow a value. */
function valuesOf(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const [, name = "", double, single, plain] of text.matchAll(
    /^[ \t]*(\w+)[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^#;\s]*))/gm,
  ))
    if (!values.has(name)) values.set(name, double ?? single ?? plain ?? "");
  return values;
}
