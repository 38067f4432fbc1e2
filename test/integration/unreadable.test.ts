// Domains whose metadata or XML the agent cannot read, and sizes that are changed beside it, over a real libvirtd.
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const patient = { timeoutMs: 30_000 };

suite("unreadable domains", { skip: libvirtdUnavailable(), timeout: 270_000 }, () => {
  let host: SocleHost;
  let files: string;
  before(async () => {
    files = await mkdtemp(join(tmpdir(), "socle-unreadable-"));
    host = await SocleHost.start({ config: { vm: { sampleIntervalSeconds: 1 } } });
  });
  after(async () => {
    await host.stop();
    await rm(files, { recursive: true });
  });

  const vmOf = async (name: string): Promise<Vm__Output | undefined> =>
    (await host.list()).vms.find((vm) => vm.name === name);
  const unreadableCondition = async (): Promise<string | undefined> =>
    (await host.host()).health?.conditions.find(({ type }) => type === "VmUnreadable")?.status;
  const refusal = async (attempt: Promise<unknown>): Promise<string> =>
    await attempt.then(
      () => assert.fail("it was not refused"),
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  const isComplete = async (): Promise<boolean> =>
    (await host.list()).observation?.presence === "PRESENCE_PRESENT";
  const define = async (xml: string): Promise<void> => {
    const path = join(files, "domain.xml");
    await writeFile(path, xml);
    await host.virsh("define", path);
  };

  test("an invalid spec affects only its VM, also over a restart of the agent", async () => {
    const { vms } = host.client.contract;
    for (const name of ["broken", "well"])
      assert.equal((await host.create(bootSector(name), { leaveStopped: true })).state, "STATE_SUCCEEDED");
    const xml = await host.virsh("dumpxml", "broken");
    const text = /<socle:spec>(.*)<\/socle:spec>/.exec(xml)?.[1] ?? "";
    const spec = JSON.stringify({
      ...(JSON.parse(text) as object),
      disks: [null],
      nics: [{}],
      labels: "xyz",
    });
    const digest = createHash("sha256").update(spec).digest("hex");
    await define(
      xml
        .replace(/<socle:spec>.*<\/socle:spec>/, `<socle:spec>${spec}</socle:spec>`)
        .replace(/(<socle:specDigest>).*(<\/socle:specDigest>)/, `$1${digest}$2`),
    );
    const check = async (): Promise<void> => {
      const broken = await eventually(
        async () => {
          const vm = await vmOf("broken");
          return vm !== undefined && vm.unreadable !== "" && vm;
        },
        { ...patient, what: "the broken spec to be detected" },
      );
      assert.match(broken.unreadable, /^spec: spec/);
      assert.deepEqual([broken.managed, broken.spec, broken.tenant], [true, null, ""]);
      assert.deepEqual([broken.vcpus, broken.memoryBytes], [1, 32 * 2 ** 20]);
      assert.equal((await vmOf("well"))?.unreadable, "");
      assert.equal((await host.list()).specUnreadable, 1);
      assert.equal((await host.host()).vms?.unreadable, 1);
      await eventually(async () => (await unreadableCondition()) === "TRUTH_TRUE", {
        ...patient,
        what: "the condition",
      });
    };
    await check();
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    await check();
    const start = { requestId: randomUUID(), vm: "broken" };
    assert.equal(await refusal(host.client.ask(vms.StartVm, start)), "SPEC_UNREADABLE");
    const remove = (keepDisks: boolean) =>
      host.client.ask(vms.DeleteVm, { requestId: randomUUID(), vm: "broken", keepDisks });
    assert.equal(await refusal(remove(false)), "SPEC_UNREADABLE");
    assert.equal((await host.end(await remove(true))).state, "STATE_SUCCEEDED");
    await eventually(async () => (await unreadableCondition()) === "TRUTH_FALSE", {
      ...patient,
      what: "the condition to end",
    });
  });

  test("a foreign domain whose XML is refused is present and counted, and creations go on", async () => {
    const attributes = Array.from({ length: 300 }, (_, index) => `a${index}="1"`).join(" ");
    let deep = "";
    for (let depth = 0; depth < 240; depth += 1) deep = `<f:e>${deep}</f:e>`;
    const foreign = {
      attributes: `<f:f xmlns:f="urn:f" ${attributes}/>`,
      elements: `<f:f xmlns:f="urn:f">${"<f:e/>".repeat(210_000)}</f:f>`,
      nested: `<f:f xmlns:f="urn:f">${deep}</f:f>`,
    };
    for (const [name, metadata] of Object.entries(foreign))
      await define(
        `<domain type="qemu"><name>${name}</name><metadata>${metadata}</metadata><memory unit="MiB">64</memory>` +
          `<vcpu>2</vcpu><os><type arch="x86_64">hvm</type></os></domain>`,
      );
    const check = async (): Promise<void> => {
      for (const name of ["attributes", "elements"]) {
        const vm = await eventually(() => vmOf(name), { ...patient, what: `${name} to be listed` });
        const { state, managed, vcpus, memoryBytes } = vm;
        assert.deepEqual(
          { state, managed, vcpus, memoryBytes },
          { state: "VM_STATE_STOPPED", managed: false, vcpus: 2, memoryBytes: 64 * 2 ** 20 },
        );
        assert.notEqual(vm.unreadable, "");
      }
      await eventually(() => vmOf("nested"), { ...patient, what: "the nested one" });
      assert.ok(await isComplete());
    };
    await check();
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    await check();
    const made = await host.create(bootSector("beside"), { leaveStopped: true });
    assert.equal(made.state, "STATE_SUCCEEDED", made.error?.message);
    for (const name of Object.keys(foreign)) await host.virsh("undefine", name);
    await host.remove("beside");
  });

  test("a VM of Socle whose XML is refused keeps its spec and tenant, and can be deleted with its disks", async () => {
    const { vms } = host.client.contract;
    const newVolume = { pool: "images", capacityBytes: 2 ** 20 };
    const disks = [{ name: "own", newVolume }];
    const spec = bootSector("crowded", { tenant: "blue", disks });
    assert.equal((await host.create(spec, { leaveStopped: true })).state, "STATE_SUCCEEDED");
    const attributes = Array.from({ length: 300 }, (_, index) => `a${index}="1"`).join(" ");
    const more = ["--uri", "urn:f", "--key", "f", "--set", `<f ${attributes}/>`, "--config"];
    await host.virsh("metadata", "crowded", ...more);
    const check = async (): Promise<void> => {
      const { tenant, spec: read } = await eventually(
        async () => {
          const vm = await vmOf("crowded");
          return vm !== undefined && vm.unreadable !== "" && vm;
        },
        { ...patient, what: "the refusal" },
      );
      assert.deepEqual([tenant, read?.disks.length], ["blue", 1]);
    };
    await check();
    await host.agent.kill();
    await host.agent.startAgain();
    await host.reconnect();
    await host.untilListed();
    await check();
    const start = { requestId: randomUUID(), vm: "crowded" };
    assert.equal(await refusal(host.client.ask(vms.StartVm, start)), "SPEC_UNREADABLE");
    // The statistics have its disk's path.
    const volume = (await host.volumes()).find((name) => name.includes("own")) ?? "";
    const theft = { name: "own", volume: { pool: "images", volume } };
    const thief = await host
      .create(bootSector("thief", { disks: [theft] }), { leaveStopped: true })
      .then(({ state }) => state)
      .catch((thrown: unknown) => toSocleError(thrown).reason);
    assert.equal(thief, "VOLUME_IN_USE");
    const removed = await host.remove("crowded");
    assert.equal(removed.state, "STATE_SUCCEEDED", removed.error?.message);
    assert.ok(!(await host.volumes()).includes(volume));
  });

  test("virsh setvcpus and setmaxmem are followed by the list and the ledger", async () => {
    const vcpusTaken = async (): Promise<number> =>
      ((await host.host()).capacity?.cells ?? [])
        .flatMap(({ resources }) => resources)
        .filter(({ resource }) => resource === "cpu")
        .reduce((sum, { allocated = 0 }) => sum + allocated, 0);
    const before = await eventually(async () => ((await isComplete()) ? vcpusTaken() : undefined), {
      ...patient,
      what: "a whole list",
    });
    await host.virsh("setvcpus", "well", "3", "--config", "--maximum");
    await host.virsh("setvcpus", "well", "3", "--config");
    await host.virsh("setmaxmem", "well", String(64 * 1024), "--config");
    await eventually(
      async () => {
        const vm = await vmOf("well");
        return vm?.vcpus === 3 && vm.memoryBytes === 64 * 2 ** 20;
      },
      { timeoutMs: 60_000, what: "the new size" },
    );
    assert.equal(await vcpusTaken(), before + 2);
  });
});
