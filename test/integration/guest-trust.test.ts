// A tenant's guarantees: disks are unreadable without the host's key, and erased disks are unrecoverable. Each is checked over
// a second path.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { link, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
/** Where two machines write the same bytes, both are recognizable. */
const pattern = (): Buffer => Buffer.from(randomBytes(8).toString("hex"));
const MIB = 2 ** 20;

const encrypted = (name: string) => ({
  name,
  newVolume: {
    pool: "images",
    capacityBytes: 8 * MIB,
    format: "DISK_FORMAT_QCOW2" as const,
    encryption: "VOLUME_ENCRYPTION_LUKS" as const,
  },
});

const firmwareUnavailable = ["/usr/bin/swtpm", "/usr/share/OVMF/OVMF_CODE_4M.ms.fd"].every(existsSync)
  ? false
  : "swtpm or OVMF is not installed: run scripts/setup --tests";

suite("the trust of guests", { skip: libvirtdUnavailable() || firmwareUnavailable }, () => {
  let host: SocleHost;
  let keyDirectory: string;
  let keyFile: string;

  before(async () => {
    keyDirectory = await mkdtemp(join(tmpdir(), "socle-key-"));
    keyFile = join(keyDirectory, "volume-key");
    await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
    host = await SocleHost.start({ config: { vm: { volumeKeyFile: keyFile } } });
    await eventually(async () => (await host.host()).inventory?.complete, {
      what: "the host's traits to be known",
      timeoutMs: 60_000,
    });
  });
  after(async () => {
    await host.stop();
    await rm(keyDirectory, { recursive: true });
  });

  const succeeded = (operation: Operation__Output): Operation__Output => {
    assert.equal(operation.state, "STATE_SUCCEEDED", String(host.failureOf(operation)));
    return operation;
  };
  const asked = async (kind: "StartVm" | "StopVm", vm: string): Promise<Operation__Output> => {
    const { vms } = host.client.contract;
    const request = { requestId: randomUUID(), vm, force: true, gracefulTimeout: { seconds: 0 } };
    return await host.end(await host.client.ask(vms[kind], request));
  };
  const refusal = async (spec: VmSpec): Promise<SocleError> =>
    await host.beginCreate(spec).then(
      () => assert.fail(`${spec.name ?? ""} was taken`),
      (thrown: unknown) => toSocleError(thrown),
    );
  const imageInfo = async (path: string): Promise<Record<string, unknown>> => {
    const { stdout } = await run("qemu-img", ["info", "--force-share", "--output=json", path]);
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const pathOf = (vmId: string, disk: string): string =>
    join(host.libvirtd.imagesDirectory, `socle-${vmId}-${disk}`);
  const secrets = async (): Promise<string[]> => {
    // The agent's own lease of this libvirt is a secret too.
    const lines = (await host.virsh("secret-list"))
      .split("\n")
      .filter((line) => !line.includes("socle-agent-lease"));
    return lines.flatMap((line) => /[\da-f]{8}-[\da-f-]{27}/.exec(line)?.[0] ?? []);
  };

  suite("encrypted disks", () => {
    const spec = linux("sealed", { disks: [encrypted("data")], tpm: true });
    const words = `written by the guest ${randomBytes(8).toString("hex")}`;
    let vmId: string;
    let libvirt: Libvirt;

    before(async () => {
      libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
    });
    after(() => libvirt.close());

    const inGuest = async (command: string): Promise<string> => {
      const shell = await GuestShell.join(libvirt, "sealed");
      try {
        return await shell.run(command);
      } finally {
        await shell.close();
      }
    };

    test("the guest's data is not readable in the host's file", async () => {
      ({ vmId } = succeeded(await host.create(spec)));
      const path = pathOf(vmId, "data.qcow2");
      assert.equal((await imageInfo(path))["encrypted"], true);
      await inGuest(`echo ${words} >/dev/vda; sync`);
      assert.ok(!(await readFile(path)).includes(words), "its file holds what the guest wrote");
    });

    test("the guest has its own TPM with an encrypted state", async () => {
      assert.equal((await inGuest("cat /sys/class/tpm/tpm0/tpm_version_major")).trim(), "2");
      const processes = await host.libvirtd.run("ps", ["axww", "-o", "args"]);
      assert.match(
        processes,
        new RegExp(`swtpm socket .*/swtpm/${vmId}/tpm2.* --tpm2 --key pwdfd=\\d+,mode=aes-256`),
      );
    });

    test("libvirt holds the passphrases only in memory and returns them to no client", async () => {
      const held = await secrets();
      assert.equal(held.length, 2);
      for (const uuid of held) {
        assert.match(await host.virsh("secret-dumpxml", uuid), /ephemeral='yes' private='yes'/);
        await assert.rejects(host.virsh("secret-get-value", uuid), /secret is private/);
      }
    });

    test("after libvirt lost the passphrases, a start through the agent restores them, and the data is intact", async () => {
      succeeded(await asked("StopVm", "sealed"));
      await host.libvirtd.kill("SIGTERM");
      await host.libvirtd.startAgain();
      assert.deepEqual(await secrets(), []);
      await assert.rejects(host.virsh("start", "sealed"), /[Ss]ecret/);
      await host.untilListed();
      succeeded(await asked("StartVm", "sealed"));
      assert.ok((await inGuest("head -c 80 /dev/vda")).includes(words));
    });

    test("another volume key opens nothing, changes nothing, and the error names the required key", async () => {
      const before = await readFile(keyFile);
      succeeded(await asked("StopVm", "sealed"));
      try {
        await writeFile(keyFile, randomBytes(32));
        const failed = await asked("StartVm", "sealed");
        assert.equal(host.failureOf(failed)?.reason, "VOLUME_KEY_MISMATCH");
        assert.match(host.failureOf(failed)?.message ?? "", /sealed by the volume key [\da-f]{16}/);
      } finally {
        await writeFile(keyFile, before);
      }
    });

    test("the domain, the agent's log, state and replies hold only the sealed form", async () => {
      const xml = await host.virsh("dumpxml", "sealed", "--security-info");
      assert.match(xml, /of=['"]disk\/data['"]>v1\.[\da-f]{16}\.[\w-]{80,}</);
      const shown = JSON.stringify(await host.list()) + host.agent.output();
      assert.doesNotMatch(shown, /v1\.[\da-f]{16}\./);
      // grep ends with 1 where it found nothing.
      await assert.rejects(run("grep", ["-rqE", "v1\\.[0-9a-f]{16}\\.", host.agent.directory]), { code: 1 });
    });

    test("encrypted disks cannot be kept without their keys", async () => {
      const { vms } = host.client.contract;
      const keep = { requestId: randomUUID(), vm: "sealed", force: true, keepDisks: true };
      await assert.rejects(host.client.ask(vms.DeleteVm, keep), { reason: "ENCRYPTED_DISKS_KEPT" });
    });

    test("a host without a volume key refuses them with the field and a remedy", async () => {
      const before = await readFile(keyFile);
      await rm(keyFile);
      try {
        const { reason, details } = await refusal(bootSector("bare", { disks: [encrypted("data")] }));
        assert.equal(reason, "HOST_LACKS_TRAIT");
        assert.equal(details.metadata?.["trait"], "disk-encryption");
        assert.match(details.fields?.["spec.disks[0].encryption"] ?? "", /vm\.volumeKeyFile/);
      } finally {
        await writeFile(keyFile, before, { mode: 0o600 });
      }
    });
  });

  test("encrypted disks are attached, enlarged while the guest runs, and detached with their keys", async () => {
    const { vms } = host.client.contract;
    const before = await secrets();
    const { vmId: vm } = succeeded(await host.create(bootSector("grows")));
    const of = () => ({ requestId: randomUUID(), vm });
    const resize = async (disk: string, mib: number): Promise<void> => {
      const request = { ...of(), disk, capacityBytes: mib * MIB };
      succeeded(await host.end(await host.client.ask(vms.ResizeDisk, request)));
    };
    const disks = [encrypted("one"), encrypted("two")];
    for (const disk of disks)
      succeeded(await host.end(await host.client.ask(vms.AttachDisk, { ...of(), disk })));
    assert.equal((await secrets()).length, before.length + 2);
    const [one, two] = [pathOf(vm, "one.qcow2"), pathOf(vm, "two.qcow2")];
    for (const path of [one, two]) assert.equal((await imageInfo(path))["encrypted"], true);
    for (const { name } of disks) await resize(name, 12);
    succeeded(await asked("StopVm", vm));
    for (const path of [one, two]) assert.equal((await imageInfo(path))["virtual-size"], 12 * MIB, path);
    await assert.rejects(resize("one", 16), { reason: "VM_STATE_CONFLICT" });
    // With the passphrases that the domain has: both still open.
    succeeded(await asked("StartVm", vm));
    succeeded(await asked("StopVm", vm));
    const detach = (disk: string, deleteVolume: boolean): Promise<Operation__Output> =>
      host.client.ask(vms.DetachDisk, { ...of(), disk, deleteVolume });
    await assert.rejects(detach("one", false), { reason: "ENCRYPTED_DISKS_KEPT" });
    for (const { name } of disks) succeeded(await host.end(await detach(name, true)));
    assert.deepEqual(
      [existsSync(one), existsSync(two), (await secrets()).length],
      [false, false, before.length],
    );
    succeeded(await asked("StartVm", vm));
    succeeded(await host.end(await host.client.ask(vms.DeleteVm, { ...of(), force: true })));
  });

  suite("erasing", () => {
    const sealedSpec = bootSector("to-seal", {
      disks: [encrypted("cow")],
    });
    const plainSpec = bootSector("to-erase", {
      disks: [
        { name: "thin", newVolume: { pool: "images", capacityBytes: 8 * MIB } },
        { name: "base", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true },
      ],
    });
    const erase = async (vm: string): Promise<Operation__Output> => {
      const { vms } = host.client.contract;
      const request = { requestId: randomUUID(), vm, force: true, eraseDisks: true };
      return await host.end(await host.client.ask(vms.DeleteVm, request));
    };
    /** A second name of a volume's file, to read its content after the deletion. */
    const keepInode = async (path: string): Promise<string> => {
      const other = join(host.libvirtd.directory, randomUUID());
      await link(path, other);
      return other;
    };
    const receiptOf = ({ result }: Operation__Output): Record<string, unknown> =>
      JSON.parse(result["receipt"] ?? "{}") as Record<string, unknown>;

    test("erasing encrypted disks destroys the keys and overwrites the headers", async () => {
      const raw = (await host.list()).vms.find(({ name }) => name === "sealed")?.vmId ?? "";
      const { vmId: cow } = succeeded(await host.create(sealedSpec, { leaveStopped: true }));
      assert.equal((await imageInfo(pathOf(cow, "cow.qcow2")))["encrypted"], true);
      for (const [vm, path] of [
        ["sealed", pathOf(raw, "data.qcow2")],
        ["to-seal", pathOf(cow, "cow.qcow2")],
      ] as const) {
        const inode = await keepInode(path);
        assert.ok((await readFile(inode)).includes("LUKS\xba\xbe", "latin1"));
        const { disks, tpm } = receiptOf(succeeded(await erase(vm)));
        assert.equal(tpm, vm === "sealed" ? "crypto-erase" : undefined);
        const [{ method, volume } = {}, ...more] = disks as Record<string, unknown>[];
        assert.deepEqual([method, volume, more.length], ["crypto-erase", basename(path), 0]);
        const left = await readFile(inode);
        assert.ok(left.length > 0 && left.every((byte) => byte === 0), "something of it is left");
      }
      assert.deepEqual(await secrets(), []);
      assert.equal(await host.libvirtd.run("find", ["/var/lib/libvirt/swtpm", "-mindepth", "1"]), "");
      assert.ok(!(await host.volumes()).some((name) => name.startsWith("socle-")));
    });

    test("erasing other disks overwrites every byte, holes too, and no other volume", async () => {
      const { vmId } = succeeded(await host.create(plainSpec, { leaveStopped: true }));
      const words = pattern();
      const path = pathOf(vmId, "thin.qcow2");
      const file = await open(path, "r+");
      await file.write(words, 0, words.length, 5 * MIB);
      await file.close();
      const { blocks, size } = await stat(path);
      assert.ok(blocks * 512 < size, "the volume is not thin");
      const inode = await keepInode(path);
      const base = await readFile(host.files.bootSector);

      const operation = succeeded(await erase("to-erase"));
      const left = await stat(inode);
      // A wipe that only truncates a sparse file would leave its data on the disk, and the file sparse.
      assert.ok(left.size >= size && left.blocks * 512 >= left.size, "it was not overwritten but cut off");
      assert.ok((await readFile(inode)).every((byte) => byte === 0));
      assert.deepEqual(await readFile(host.files.bootSector), base);
      const { disks, kept, vm, operation: id } = receiptOf(operation);
      assert.deepEqual(disks, [
        {
          disk: "thin",
          pool: "images",
          volume: `socle-${vmId}-thin.qcow2`,
          method: "overwrite",
          bytes: size,
        },
      ]);
      assert.deepEqual(kept, [{ pool: "images", volume: "bootsector.img" }]);
      assert.deepEqual([vm, id], [vmId, operation.operationId]);
      await receiptHolds(operation);
    });

    /** Verified with openssl, with socle, and with the digest in the audit log. */
    async function receiptHolds(operation: Operation__Output): Promise<void> {
      const audit = join(host.agent.directory, "state/audit");
      const at = (name: string): string => join(keyDirectory, name);
      const {
        receipt = "",
        receipt_signature: signature = "",
        receipt_sha256: digest = "",
      } = operation.result;
      await writeFile(at("receipt.json"), receipt);
      await writeFile(at("receipt.sig"), Buffer.from(signature, "base64"));
      const check = ["pkeyutl", "-verify", "-pubin", "-inkey", join(audit, "key.pub"), "-rawin"];
      const { stdout } = await run("openssl", [
        ...check,
        "-in",
        at("receipt.json"),
        "-sigfile",
        at("receipt.sig"),
      ]);
      assert.match(stdout, /Signature Verified Successfully/);

      const socle = async (reported: Operation__Output): Promise<string> => {
        await writeFile(at("operation.json"), JSON.stringify(reported));
        const words = ["audit", "verify", "--receipt", at("operation.json"), "--directory", audit];
        return (await run(process.execPath, [...socleCommand, ...words])).stdout;
      };
      assert.match(await socle(operation), /^good: /);
      const changed = { ...operation.result, receipt: receipt.replace("overwrite", "crypto-erase") };
      await assert.rejects(socle({ ...operation, result: changed }), { stdout: /^bad: / });

      const shown = ["audit", "show", "--json", "--directory", audit, "--vm", operation.vmId];
      const log = await eventually(
        async () => {
          const reported = (await run(process.execPath, [...socleCommand, ...shown])).stdout;
          return (
            reported.includes(operation.operationId) && reported.includes('"operation_ended"') && reported
          );
        },
        { what: "the audit log to tell the operation's end" },
      );
      assert.ok(log.includes(digest));
    }
  });

  test("secure boot uses the firmware with enrolled keys that starts only signed images", async () => {
    const spec = bootSector("secure", { firmware: "FIRMWARE_UEFI_SECURE_BOOT", memoryBytes: 64 * MIB });
    succeeded(await host.create(spec));
    const xml = await host.virsh("dumpxml", "secure");
    assert.match(xml, /<loader [^>]*secure='yes'[^>]*>\/usr\/share\/OVMF\/OVMF_CODE_4M\.ms\.fd</);
    assert.match(xml, /<nvram template='\/usr\/share\/OVMF\/OVMF_VARS_4M\.ms\.fd'/);
    const processes = await host.libvirtd.run("ps", ["axww", "-o", "args"]);
    assert.match(
      processes,
      /guest=secure,.* -machine [^ ]*smm=on.* driver=cfi.pflash01,property=secure,value=on/,
    );
    succeeded(await host.remove("secure"));
    assert.equal(await host.libvirtd.run("find", ["/var/lib/libvirt/qemu/nvram", "-type", "f"]), "");
  });

  test("encrypted memory is refused with its trait on a host without it", async () => {
    const { details, reason } = await refusal(
      bootSector("confidential", {
        firmware: "FIRMWARE_UEFI",
        launchSecurity: "LAUNCH_SECURITY_SEV_SNP",
        accelerator: "ACCELERATOR_UNSPECIFIED",
      }),
    );
    assert.equal(reason, "HOST_LACKS_TRAIT");
    assert.match(details.metadata?.["trait"] ?? "", /^(kvm|sev-snp)$/);
    assert.ok("spec.launchSecurity" in (details.fields ?? {}));
  });
});
