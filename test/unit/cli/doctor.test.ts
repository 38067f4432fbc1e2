import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { chmod, mkdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { conditionAdvice } from "../../../agent/cli/doctor/advice.ts";
import { checkNbdCertificates } from "../../../agent/cli/doctor/nbd-check.ts";
import { checkSocketDirectory } from "../../../agent/cli/doctor/socket-directory-check.ts";
import { checkLibvirt, checkStateDirectory, checkUnit } from "../../../agent/cli/doctor/host-checks.ts";
import type { Finding } from "../../../agent/cli/doctor/finding.ts";
import { configSchema } from "../../../agent/config/schema.ts";
import type { Host } from "../../../agent/gen/socle/v1/Host.ts";
import { hostConditions } from "../../../agent/host/health/conditions/table.ts";
import { folder } from "../../support/state/folder.ts";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { ago, host } from "../../support/cli/samples.ts";

test("doctor connects to libvirt: the socket of a killed libvirtd is no libvirt", async (t) => {
  const directory = await folder(t);
  const path = join(directory, "sock");
  const uri = `qemu:///system?socket=${path}`;
  assert.match((await checkLibvirt(uri, undefined)).found, /not running: there is no .*sock$/);
  const daemon = createServer().listen(path);
  await once(daemon, "listening");
  assert.equal((await checkLibvirt(uri, undefined)).verdict, "ok");
  // A killed daemon leaves its socket like this.
  await rename(path, `${path}-kept`);
  daemon.close();
  await once(daemon, "close");
  await rename(`${path}-kept`, path);
  const dead = await checkLibvirt(uri, undefined);
  assert.equal(dead.verdict, "fail");
  assert.match(
    dead.found,
    /not running: .*sock exists, but nothing accepts connections on it \(ECONNREFUSED\)/,
  );
});

test("doctor reports an agent with excess rights, and a credential that prevents its start", async (t) => {
  const directory = await folder(t);
  const unit = async (properties: string, capabilities?: string): Promise<Finding | undefined> => {
    const words = `LoadState=loaded\n${properties}`;
    await writeFile(join(directory, "systemctl"), `#!/bin/sh\necho '${words}'\n`, { mode: 0o755 });
    await mkdir(join(directory, "7"), { recursive: true });
    if (capabilities !== undefined)
      await writeFile(join(directory, "7/status"), `Name:\tnode\nCapPrm:\t0\nCapEff:\t${capabilities}\n`);
    return await checkUnit({ PATH: directory }, directory);
  };
  const running = "ActiveState=active\nResult=success\nMainPID=7\nExecMainStatus=0";
  assert.equal((await unit(running))?.verdict, "warn");
  assert.deepEqual((await unit(running, "0000000000000000"))?.verdict, "ok");
  const mighty = await unit(running, "0000000400220002");
  assert.equal(mighty?.verdict, "warn");
  assert.match(`${mighty.found} ${mighty.next ?? ""}`, /0000000400220002.*systemctl cat socle-agent/);

  const waiting = "ActiveState=activating\nResult=exit-code\nMainPID=0";
  const sealed = await unit(`${waiting}\nExecMainStatus=243`);
  assert.equal(sealed?.verdict, "fail");
  assert.match(
    `${sealed.found} ${sealed.next ?? ""}`,
    /cannot decrypt a credential.*credstore\.encrypted.*systemd-creds decrypt.*move it/,
  );
  const other = await unit(`${waiting}\nExecMainStatus=1`);
  assert.equal(other?.verdict, "warn");
  assert.match(other.found, /activating \(exit-code\)/);

  await writeFile(join(directory, "systemctl"), "#!/bin/sh\necho LoadState=not-found\n");
  assert.equal(await checkUnit({ PATH: directory }), undefined);
  assert.equal(await checkUnit({ PATH: join(directory, "nothing") }), undefined);
});

test("doctor has a step for every condition", () => {
  const types = Object.keys(hostConditions({ config: configSchema.parse({}), offersKvm: () => undefined }));
  assert.deepEqual(
    types.filter((type) => conditionAdvice[type] === undefined),
    [],
  );
});

test("doctor advises to restore a state directory that is missing under a running agent", async (t) => {
  const missing = join(await folder(t), "moved");
  const lost = await checkStateDirectory(missing, true);
  assert.equal(lost.verdict, "fail");
  assert.match(lost.next ?? "", /^Put it back as it was.*restart the agent only after that/);
  const fresh = await checkStateDirectory(missing, false);
  assert.equal(fresh.verdict, "warn");
  assert.match(fresh.next ?? "", /creates an empty one.*ran here before, restore its state directory first/);
});

x509.cryptoProvider.set(webcrypto);

async function certificateFor(address: string): Promise<string> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=server",
    serialNumber: "01",
    notAfter: new Date(Date.now() + 3_600_000),
    keys: await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"]),
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "ip", value: address }])],
  });
  return certificate.toString("pem");
}

test("doctor finds what QEMU lacks to serve backups over TLS, and who could read them", async (t) => {
  const etc = await folder(t);
  const check = async (address = "10.0.0.5"): Promise<readonly [string, string]> => {
    const { verdict, found } = (await checkNbdCertificates(address, etc)) ?? assert.fail("no finding");
    return [verdict, found];
  };
  const is = async (verdict: string, found: RegExp, address?: string): Promise<void> => {
    const [is, text] = await check(address);
    assert.equal(is, verdict, text);
    assert.match(text, found);
  };
  const certificates = async (name: string): Promise<string> => {
    const path = join(etc, name);
    await mkdir(path, { recursive: true });
    const pem = await certificateFor("10.0.0.5");
    for (const file of ["ca-cert.pem", "server-cert.pem", "server-key.pem"])
      await writeFile(join(path, file), pem, { mode: 0o644 });
    return path;
  };
  await mkdir(join(etc, "libvirt"));
  const conf = (...lines: string[]) => writeFile(join(etc, "libvirt/qemu.conf"), lines.join("\n"));
  assert.equal(await checkNbdCertificates(null, etc), undefined);
  await is("fail", /pki\/qemu\/ca-cert\.pem/);
  await certificates("pki/qemu");
  await is("warn", /pki\/qemu, which QEMU also has for other uses/);
  const other = await certificates("other");
  await conf(`default_tls_x509_cert_dir = "${other}"`);
  await is("warn", /other, which QEMU/);
  const own = await certificates("pki/libvirt-backup");
  await is("ok", /pki\/libvirt-backup/);
  await is("fail", /not for 10\.0\.0\.6/, "10.0.0.6");
  await chmod(join(own, "server-key.pem"), 0o600);
  if (process.getuid?.() === 0) await is("fail", /only root may read .*server-key/);
  await conf(`backup_tls_x509_cert_dir = '${other}' # lab`);
  await is("ok", /other/);
  for (const open of [
    ["backup_tls_x509_verify = 0 # lab", "backup_tls_x509_verify = 1"],
    ["default_tls_x509_verify=0"],
  ]) {
    await conf(...open, `backup_tls_x509_cert_dir = "${other}"`);
    await is("fail", /10\.0\.0\.5 need no certificate/);
  }
  await conf("#backup_tls_x509_verify = 0", "default_tls_x509_verify = 0", "backup_tls_x509_verify = 1");
  await chmod(join(own, "server-key.pem"), 0o640);
  await is("ok", /pki\/libvirt-backup/);
});

test("doctor finds a directory of sockets that QEMU and the agent cannot share", async (t) => {
  const directory = join(await folder(t), "sockets");
  assert.equal((await checkSocketDirectory(directory)).verdict, "warn");
  await mkdir(directory);
  await chmod(directory, 0o2770);
  assert.equal((await checkSocketDirectory(directory)).verdict, "ok");
  await chmod(directory, 0o0770);
  const notSetgid = await checkSocketDirectory(directory);
  assert.equal(notSetgid.verdict, "warn");
  assert.match(notSetgid.found, /not setgid/);
  await chmod(directory, 0o2775);
  const open = await checkSocketDirectory(directory);
  assert.equal(open.verdict, "fail");
  assert.match(open.next ?? "", /systemd-tmpfiles --create socle\.conf/);
});

test("doctor advises no uncordon that the agent refuses, and gives a remedy for each reason", async (t) => {
  const condition = (type: string, reason: string) => ({
    type,
    reason,
    status: "TRUTH_TRUE" as const,
    effect: "EFFECT_NO_SCHEDULE" as const,
    evidence: "seen",
    since: ago(60),
  });
  const examined = async (...conditions: ReturnType<typeof condition>[]): Promise<string> => {
    const health: Host["health"] = { ...host().health, conditions };
    const socket = await fakeAgent(t, { host: { GetHost: (_call, done) => done(null, host({ health })) } });
    return (await socle(["doctor", "--config", join(await folder(t), "none.yaml")], { socket })).stdout;
  };
  const unreadable = await examined(condition("StateUnreadable", "Unreadable"));
  assert.match(unreadable, /socle uncordon may be refused until StateUnreadable is over/);
  assert.doesNotMatch(unreadable, /It is cordoned: socle uncordon/);
  const others = await examined(
    condition("StateUnwritable", "JournalFull"),
    condition("HypervisorInUse", "LeaseHeldByAnotherAgent"),
    condition("AuditLog", "Damaged"),
  );
  assert.match(others, /Free space on the disk[^]*virsh secret-undefine[^]*socle health ack AuditLog/);
  assert.match(await examined(condition("Fan", "Stopped")), /It is cordoned: socle uncordon\./);
});
