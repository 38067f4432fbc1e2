// Backups over TLS, read from outside the host's processes by qemu-img and nbdcopy with a certificate of the backups' authority.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { Backup__Output } from "../../agent/gen/socle/v1/Backup.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";
import { BackupReader } from "./backups-stage.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;
const BYTES = 8 * MIB;
const LETTER = "n";
const ADDRESS = "127.0.0.1";
const [FIRST, LAST] = [10900, 10901];

/** A directory of certificates as QEMU and libnbd read them. */
async function makeCertificates(directory: string): Promise<void> {
  const at = (name: string): string => join(directory, name);
  const openssl = (...words: string[]) => run("openssl", words, { timeout: 60_000 });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  await mkdir(directory);
  const authority = [
    "-keyout",
    at("ca-key.pem"),
    "-out",
    at("ca-cert.pem"),
    "-subj",
    "/CN=backups",
    "-days",
    "2",
  ];
  await openssl("req", "-x509", ...key, ...authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign");
  for (const [name, use] of [
    ["server", "serverAuth"],
    ["client", "clientAuth"],
  ] as const) {
    await openssl("req", ...key, "-keyout", at(`${name}-key.pem`), "-out", at("csr"), "-subj", `/CN=${name}`);
    await writeFile(at("ext"), `extendedKeyUsage=${use}\nsubjectAltName=IP:${ADDRESS}\n`);
    const signed = ["-CA", at("ca-cert.pem"), "-CAkey", at("ca-key.pem"), "-CAcreateserial", "-days", "2"];
    await openssl(
      "x509",
      "-req",
      "-in",
      at("csr"),
      ...signed,
      "-extfile",
      at("ext"),
      "-out",
      at(`${name}-cert.pem`),
    );
    // QEMU's user reads the key itself.
    await chmod(at(`${name}-key.pem`), 0o644);
  }
}

suite("backups over TLS", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let directory: string;
  let host: SocleHost;
  let reader: BackupReader;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-nbd-"));
    await chmod(directory, 0o755);
    for (const name of ["own", "foreign"]) await makeCertificates(join(directory, name));
    // Both know the server's authority: what refuses them is the server.
    await mkdir(join(directory, "none"));
    const authority = join(directory, "own/ca-cert.pem");
    for (const name of ["none", "foreign"]) await copyFile(authority, join(directory, name, "ca-cert.pem"));
    host = await SocleHost.start(
      { config: { backups: { nbdAddress: ADDRESS, nbdPorts: `${FIRST}-${LAST}` } } },
      { qemuConf: [`backup_tls_x509_cert_dir = "${join(directory, "own")}"`] },
    );
    reader = new BackupReader(host);
  });
  after(async () => {
    await host.stop();
    await rm(directory, { recursive: true, force: true });
  });

  const create = async (name: string): Promise<string> => {
    const newVolume = { pool: "images", capacityBytes: BYTES, format: "DISK_FORMAT_QCOW2" as const };
    const { error, vmId } = await host.create(linux(name, { disks: [{ name: "root", newVolume }] }), {
      leaveStopped: true,
    });
    assert.equal(error, null);
    const file = join(host.libvirtd.imagesDirectory, `socle-${vmId}-root.qcow2`);
    await run("qemu-io", ["-c", `write -P ${LETTER.charCodeAt(0)} 65536 65536`, file]);
    return vmId;
  };
  type Opened = Pick<Backup__Output, "nbdUri" | "disks">;
  const where = ({ nbdUri, disks: [disk] }: Opened): { port: string; device: string } => {
    const [, port] = /^nbds:\/\/127\.0\.0\.1:(\d+)\/$/.exec(nbdUri) ?? [];
    return { port: port ?? assert.fail(nbdUri), device: disk?.nbdExport ?? assert.fail("no disk") };
  };
  /** The disk, by a client in the host's network. */
  const byQemu = async (backup: Opened, certificates?: string): Promise<Buffer> => {
    const { port, device } = where(backup);
    const file = join(host.libvirtd.imagesDirectory, `${randomUUID()}.raw`);
    const credentials = `tls-creds-x509,id=t0,endpoint=client,sanity-check=off,dir=${join(directory, certificates ?? "")}`;
    const image = `driver=nbd,host=${ADDRESS},port=${port},export=${device}`;
    const source = ["--image-opts", certificates === undefined ? image : `${image},tls-creds=t0`];
    const options = certificates === undefined ? [] : ["--object", credentials];
    try {
      await host.libvirtd.run("qemu-img", ["convert", ...options, ...source, "-O", "raw", file]);
      return await readFile(file);
    } finally {
      await rm(file, { force: true });
    }
  };
  /** The ports at which a QEMU serves backups. */
  const listening = async (): Promise<number[]> => {
    const lines = await host.libvirtd.run("ss", ["-Hltn"]);
    const ports = [...lines.matchAll(/127\.0\.0\.1:(\d+)/g)].map(([, port]) => Number(port));
    return ports.filter((port) => port >= FIRST && port <= LAST).sort();
  };
  const isWhole = (bytes: Buffer): boolean =>
    bytes.length === BYTES &&
    bytes.subarray(65536, 131072).equals(Buffer.alloc(65536, LETTER)) &&
    bytes.subarray(0, 65536).equals(Buffer.alloc(65536));

  test("tools with a certificate of the authority read the disk, and others nothing", async () => {
    const id = await create("web");
    const backup = await reader.begin("web", { nbdTls: true });
    assert.ok(isWhole(await byQemu(backup, "own")));
    const { port, device } = where(backup);
    const copy = join(host.libvirtd.imagesDirectory, "copy.raw");
    const certificates = `tls-certificates=${join(directory, "own")}`;
    await host.libvirtd.run("nbdcopy", [`nbds://${ADDRESS}:${port}/${device}?${certificates}`, copy]);
    assert.ok(isWhole(await readFile(copy)));
    await rm(copy);

    await assert.rejects(byQemu(backup), /TLS/);
    await assert.rejects(byQemu(backup, "none"));
    await assert.rejects(byQemu(backup, "foreign"));
    await assert.rejects(
      (async () => {
        const asked = { vm: "web", backupId: backup.backupId, disk: "root" };
        for await (const _ of host.client.watch(host.client.contract.backups.ReadExtents, asked)) return;
      })(),
      { reason: "BACKUP_READ_BY_NBD" },
    );
    assert.deepEqual(await reader.sockets(), []);
    assert.deepEqual(await listening(), [Number(port)]);
    await reader.finish("web", backup.backupId);
    assert.deepEqual(await listening(), []);

    // The next one is over it, also from the socket of the host.
    const next = await reader.begin("web", { baseBackup: backup.backupId });
    assert.equal(next.disks[0]?.incremental, true);
    assert.match(next.nbdUri, /^nbd\+unix:/);
    await reader.finish("web", next.backupId);
    assert.deepEqual(await reader.files(id), [`socle-${id}-root.qcow2`]);
    await host.remove("web");
  });

  test("each backup has a port of its own, one without is refused whole, and an ended one frees its port", async () => {
    const names = ["one", "two", "three"];
    for (const name of names) await create(name);
    const [one, two] = await Promise.all([
      reader.begin("one", { nbdTls: true }),
      reader.begin("two", { nbdTls: true }),
    ]);
    assert.deepEqual([one, two].map((each) => Number(where(each).port)).sort(), [FIRST, LAST]);
    const refusal = async () =>
      host.failureOf(await host.end(await reader.beginning("three", { nbdTls: true })))?.reason;
    assert.equal(await refusal(), "NBD_PORTS_IN_USE");
    assert.deepEqual(await reader.checkpoints("three"), []);
    assert.equal(await host.virsh("domstate", "three"), "shut off");
    // The agent after a restart knows the ports of open backups.
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    assert.equal(await refusal(), "NBD_PORTS_IN_USE");
    await reader.finish("one", one.backupId, false);
    await eventually(async () => (await reader.list("one")).length === 0, { what: "the end to be seen" });
    const three = await reader.begin("three", { nbdTls: true });
    assert.equal(where(three).port, where(one).port);
    // A client of the one before reads no other disk at its port.
    await assert.rejects(byQemu({ ...three, disks: one.disks }, "own"), /export/i);
    assert.ok(isWhole(await byQemu(three, "own")));
    await reader.finish("two", two.backupId, false);
    await reader.finish("three", three.backupId, false);
    assert.deepEqual(await listening(), []);
    for (const name of names) await host.remove(name);
  });

  test("the command opens a backup for such a tool, renews and completes it", async () => {
    await create("cli");
    type Printed = Omit<Backup__Output, "leaseExpiresAt"> & { readonly leaseExpiresAt: string };
    const socle = async (...line: string[]): Promise<Printed> => {
      const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
      const { stdout } = await run(process.execPath, [...socleCommand, ...line, "--json"], { env });
      return JSON.parse(stdout) as Printed;
    };
    const opened = await socle("vm", "backup", "open", "cli", "--nbd-tls", "--lease", "5m");
    assert.ok(isWhole(await byQemu(opened, "own")));
    const renewed = await socle("vm", "backup", "renew", "cli", opened.backupId, "--lease", "2h");
    assert.ok(Date.parse(renewed.leaseExpiresAt) > Date.now() + 3_600_000);
    await socle("vm", "backup", "end", "cli", opened.backupId, "--complete");
    const [whole] = await reader.list("cli");
    assert.deepEqual([whole?.backupId, whole?.state], [opened.backupId, "BACKUP_STATE_COMPLETE"]);
    const next = await socle("vm", "backup", "open", "cli", "--base", opened.backupId);
    assert.equal(next.disks[0]?.incremental, true);
    await socle("vm", "backup", "end", "cli", next.backupId);
    await host.remove("cli");
  });
});
