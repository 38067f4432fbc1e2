// What a tenant has to believe of a host: that his disks are unreadable without the host's key, that they are gone when they
// are erased. Each is looked at over a second path.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { toSocleError, type SocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { GuestShell } from "../lab/guest-shell.ts";
import { libvirtdUnavailable } from "../lab/libvirtd.ts";
import { bootSector, linux, SocleHost } from "../lab/socle-host.ts";

const run = promisify(execFile);
const MIB = 2 ** 20;

const encrypted = (name: string, format: "DISK_FORMAT_RAW" | "DISK_FORMAT_QCOW2") => ({
  name,
  newVolume: {
    pool: "images",
    capacityBytes: 8 * MIB,
    format,
    encryption: "VOLUME_ENCRYPTION_LUKS" as const,
  },
});

suite("the trust of guests", { skip: libvirtdUnavailable() }, () => {
  let host: SocleHost;
  let keyDirectory: string;
  let keyFile: string;

  before(async () => {
    keyDirectory = await mkdtemp(join(tmpdir(), "socle-key-"));
    keyFile = join(keyDirectory, "volume-key");
    await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
    host = await SocleHost.start({ config: { vm: { volumeKeyFile: keyFile } } });
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
    const lines = (await host.virsh("secret-list")).split("\n");
    return lines.flatMap((line) => /[\da-f]{8}-[\da-f-]{27}/.exec(line)?.[0] ?? []);
  };

  suite("encrypted disks", () => {
    const spec = linux("sealed", { disks: [encrypted("data", "DISK_FORMAT_RAW")] });
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

    test("what the guest writes is not in the file that the host keeps it in", async () => {
      ({ vmId } = succeeded(await host.create(spec)));
      const path = pathOf(vmId, "data.raw");
      assert.equal((await imageInfo(path))["format"], "luks");
      await inGuest(`echo ${words} >/dev/vda; sync`);
      assert.ok(!(await readFile(path)).includes(words), "its file holds what the guest wrote");
    });

    test("libvirt has the passphrase in memory alone, and gives it to nobody", async () => {
      const [uuid = "", ...more] = await secrets();
      assert.equal(more.length, 0);
      assert.match(await host.virsh("secret-dumpxml", uuid), /ephemeral='yes' private='yes'/);
      await assert.rejects(host.virsh("secret-get-value", uuid), /secret is private/);
    });

    test("after libvirt forgot it, a start through the agent gives it back; what was written is there", async () => {
      succeeded(await asked("StopVm", "sealed"));
      await host.libvirtd.kill("SIGTERM");
      await host.libvirtd.startAgain();
      assert.deepEqual(await secrets(), []);
      await assert.rejects(host.virsh("start", "sealed"), /[Ss]ecret/);
      await host.sees();
      succeeded(await asked("StartVm", "sealed"));
      assert.ok((await inGuest("head -c 80 /dev/vda")).includes(words));
    });

    test("another volume key opens nothing, says which one it was, and touches nothing", async () => {
      const before = await readFile(keyFile);
      succeeded(await asked("StopVm", "sealed"));
      try {
        await writeFile(keyFile, randomBytes(32));
        const failed = await asked("StartVm", "sealed");
        assert.equal(host.failureOf(failed)?.reason, "VOLUME_KEY_OTHER");
        assert.match(host.failureOf(failed)?.message ?? "", /sealed by the volume key [\da-f]{16}/);
      } finally {
        await writeFile(keyFile, before);
      }
    });

    test("nothing but the sealed form is in the domain, the agent's log, its state and its answers", async () => {
      const xml = await host.virsh("dumpxml", "sealed", "--security-info");
      assert.match(xml, /of=['"]disk\/data['"]>v1\.[\da-f]{16}\.[\w-]{80,}</);
      const shown = JSON.stringify(await host.list()) + host.agent.words();
      assert.doesNotMatch(shown, /v1\.[\da-f]{16}\./);
      // grep ends with 1 where it found nothing.
      await assert.rejects(run("grep", ["-rqE", "v1\\.[0-9a-f]{16}\\.", host.agent.directory]), { code: 1 });
    });

    test("they cannot be kept without their keys, and go with the VM", async () => {
      const { vms } = host.client.contract;
      const keep = { requestId: randomUUID(), vm: "sealed", force: true, keepDisks: true };
      await assert.rejects(host.client.ask(vms.DeleteVm, keep), { reason: "ENCRYPTED_DISKS_KEPT" });
      succeeded(await host.remove("sealed"));
      assert.deepEqual(await secrets(), []);
      assert.deepEqual(
        (await host.volumes()).filter((name) => name.startsWith("socle-")),
        [],
      );
    });

    test("a host without a volume key refuses them by the field, and says what to do", async () => {
      const before = await readFile(keyFile);
      await rm(keyFile);
      try {
        const { reason, details } = await refusal(
          bootSector("bare", { disks: [encrypted("data", "DISK_FORMAT_RAW")] }),
        );
        assert.equal(reason, "HOST_LACKS_TRAIT");
        assert.equal(details.metadata?.["trait"], "disk-encryption");
        assert.match(details.fields?.["spec.disks[0].encryption"] ?? "", /vm\.volumeKeyFile/);
      } finally {
        await writeFile(keyFile, before, { mode: 0o600 });
      }
    });
  });
});
