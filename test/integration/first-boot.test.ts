import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import type { ChangeSeedRequest } from "../../agent/gen/socle/v1/ChangeSeedRequest.ts";
import type { CloudInit } from "../../agent/gen/socle/v1/CloudInit.ts";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { publicKey } from "../support/vm/seeds.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const SEED_BYTES = 256 * 1024;
const secret = `hunter-${randomBytes(12).toString("hex")}`;
const userData = `#cloud-config\npassword: ${secret}\n# ${"x".repeat(60_000)} é\n`;
const networkConfig = `version: 2\nwifis: {w0: {password: ${secret}}}\n`;
const sha256 = (data: string | Buffer): string => createHash("sha256").update(data).digest("hex");

const seeded = (changes: CloudInit = {}): CloudInit => ({
  hostname: "web-1.example.com",
  sshKeys: [publicKey],
  userData,
  networkConfig,
  pool: "images",
  ...changes,
});

suite("VMs with a cloud-init seed", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let host: SocleHost;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), "socle-seed-"));
    const keyFile = join(directory, "volume.key");
    await writeFile(keyFile, randomBytes(32), { mode: 0o600 });
    host = await SocleHost.start({ config: { vm: { volumeKeyFile: keyFile } } });
  });
  after(async () => {
    await host.stop();
    await rm(directory, { recursive: true });
  });

  /** All bytes below a directory. */
  const bytesIn = async (folder: string): Promise<string> => {
    const files = await readdir(folder, { recursive: true, withFileTypes: true });
    const texts = files
      .filter((file) => file.isFile())
      .map((file) => readFile(join(file.parentPath, file.name), "latin1"));
    return (await Promise.all(texts)).join("\n");
  };
  const seedOf = (vmId: string): string => `socle-${vmId}-seed.iso`;
  const seeds = async (): Promise<string[]> =>
    (await host.volumes()).filter((name) => /-seed\.(\w+\.)?iso$/.test(name));
  const act = async (method: "StartVm" | "StopVm" | "ChangeSeed", request: object) => {
    const begun = await host.client.ask(host.client.contract.vms[method], {
      requestId: randomUUID(),
      ...request,
    });
    return begun.done ? begun : await host.end(begun);
  };
  const change = (vm: string, request: ChangeSeedRequest) => act("ChangeSeed", { vm, ...request });
  /** The file that the definition, and so the next start, uses. */
  const seedAt = async (vm: string, ...how: string[]): Promise<string> =>
    /vdz\s+(\S+)/.exec(await host.virsh("domblklist", vm, ...how))?.[1] ?? "";
  const download = async (vmId: string): Promise<Buffer> => {
    const file = join(directory, `${vmId}.iso`);
    await host.virsh("vol-download", seedOf(vmId), file, "--pool", "images");
    return await readFile(file);
  };

  test("the guest finds the label cidata and reads what was given; the volume goes with the VM", async () => {
    const network = join(directory, "network.xml");
    await writeFile(network, "<network><name>alone</name><bridge name='socle-alone'/></network>");
    await host.virsh("net-create", network);
    const mac = "52:54:00:12:34:56";
    const { state, vmId } = await host.create(
      linux("web_1", {
        cloudInit: seeded({ hostname: "", networkConfig: "" }),
        nics: [{ name: "front", network: "alone", mac }],
      }),
    );
    assert.equal(state, "STATE_SUCCEEDED");
    const libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog, clock: systemClock });
    try {
      const shell = await GuestShell.join(libvirt, "web_1");
      const digests = await shell.run("cd /run/seed && ls | xargs sha256sum");
      assert.match(digests, new RegExp(`${sha256(userData)}  user-data`));
      const metaData = JSON.parse(await shell.run("cat meta-data")) as Record<string, unknown>;
      const { instance_id: _, ...shown } = {
        instance_id: metaData["instance-id"],
        hostname: metaData["local-hostname"],
        keys: metaData["public-keys"],
      };
      assert.deepEqual(shown, { hostname: "web-1", keys: [publicKey] });
      assert.match(String(metaData["instance-id"]), /^[0-9a-f-]{36}$/);
      const found = JSON.parse(await shell.run("cat network-config")) as unknown;
      const eth0 = { match: { macaddress: mac }, "set-name": "eth0", dhcp4: true, dhcp6: true };
      assert.deepEqual(found, { version: 2, ethernets: { eth0 } });
      // Read-only, and no other disk's place.
      assert.match(await shell.run("cat /sys/block/vda/ro /sys/block/vda/serial"), /^1\s+cidata/);
      // The guest keeps the seed that it has, with its bytes, and finds the new one when it starts again.
      const bytes = "echo 3 >/proc/sys/vm/drop_caches; sha256sum /dev/vda";
      const before = await shell.run(bytes);
      const later = await change("web_1", {
        cloudInit: { hostname: "later.example.com", networkConfig: "version: 1\n" },
        updateMask: { paths: ["hostname", "network_config"] },
        newInstanceId: true,
      });
      assert.equal(later.error, null, JSON.stringify(later.error));
      assert.equal(await shell.run(bytes), before);
      assert.equal((await seeds()).length, 2);
      await shell.close();
      await act("StopVm", { vm: "web_1", force: true, gracefulTimeout: { seconds: 0, nanos: 0 } });
      await act("StartVm", { vm: "web_1" });
      const again = await GuestShell.join(libvirt, "web_1");
      const changed = JSON.parse(await again.run("cat /run/seed/meta-data")) as Record<string, unknown>;
      assert.equal(changed["local-hostname"], "later.example.com");
      assert.deepEqual(changed["public-keys"], [publicKey]);
      assert.equal(changed["instance-id"], later.result["instance_id"]);
      assert.notEqual(changed["instance-id"], metaData["instance-id"]);
      const kept = await again.run("cd /run/seed && cat network-config && ls | xargs sha256sum");
      assert.match(kept, new RegExp(`^version: 1[^]*${sha256(userData)}  user-data`));
      await again.close();
    } finally {
      await libvirt.close();
    }
    const [only = "", ...others] = await seeds();
    assert.deepEqual([others, only.startsWith(`socle-${vmId}-seed.`)], [[], true]);
    const [, capacity] =
      /Capacity:\s+(\S+)/.exec(await host.virsh("vol-info", only, "images", "--bytes")) ?? [];
    assert.equal(Number(capacity), SEED_BYTES);
    assert.equal((await host.remove("web_1")).state, "STATE_SUCCEEDED");
    assert.deepEqual(await seeds(), []);
    await host.virsh("net-destroy", "alone");
  });

  test("no answer, event, metric, log line, audit entry, journal record or domain has the secret parts", async () => {
    const { client } = host;
    const { contract } = client;
    const events: unknown[] = [];
    const watched = client.watch(contract.events.Subscribe, { fromNow: true });
    const watching = (async () => {
      for await (const event of watched) events.push(event);
    })().catch(() => undefined);
    const made = await host.create(bootSector("vault", { cloudInit: seeded() }));
    assert.equal(made.state, "STATE_SUCCEEDED", JSON.stringify(made.error));
    assert.match((await download(made.vmId)).toString("latin1"), new RegExp(secret));
    const denied = await client
      .ask(contract.vms.CreateVm, {
        requestId: randomUUID(),
        spec: bootSector("denied", { cloudInit: seeded({ userData: `${userData}\0` }) }),
      })
      .catch(String);
    const shown = [
      denied,
      made,
      events,
      await client.ask(contract.vms.GetVm, { vm: "vault" }),
      await host.list(),
      await client.ask(contract.operations.ListOperations, {}),
      host.agent.log,
      host.agent.output(),
      await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text(),
      await host.virsh("dumpxml", "vault", "--security-info"),
      await bytesIn(join(host.agent.directory, "state")),
    ];
    await eventually(() => JSON.stringify(events).includes(made.vmId), { what: "an event of the VM" });
    shown.forEach((part, index) => assert.ok(!JSON.stringify(part).includes(secret), `part ${index}`));
    // They were not left out by chance: the public parts are there.
    const { spec } = await client.ask(contract.vms.GetVm, { vm: "vault" });
    assert.deepEqual(spec?.cloudInit, {
      hostname: "web-1.example.com",
      sshKeys: [publicKey],
      userData: "",
      networkConfig: "",
      pool: "images",
    });
    await host.remove("vault");
    void watching;
  });

  test("a changed seed keeps the parts that the change does not name, is as secret, and leaves no old one", async () => {
    await host.create(bootSector("changed", { cloudInit: seeded() }), {
      leaveStopped: true,
    });
    const other = `later-${randomBytes(12).toString("hex")}`;
    const changes: ChangeSeedRequest = {
      cloudInit: { userData: `#cloud-config\npassword: ${other}\n` },
      updateMask: { paths: ["user_data"] },
    };
    const first = await seedAt("changed");
    const plan = await change("changed", { ...changes, newInstanceId: true, validateOnly: true });
    const applies = "at the next start";
    assert.deepEqual(plan.result, { validated: "true", changes: "user_data", instance_id: "new", applies });
    assert.equal(await seedAt("changed"), first);

    const { error, result } = await change("changed", changes);
    assert.equal(error, null);
    const { spec, instance } = await host.client.ask(host.client.contract.vms.GetVm, { vm: "changed" });
    assert.deepEqual(result, { changed: "user_data", instance_id: instance, applies });
    assert.deepEqual([spec?.cloudInit?.hostname, spec?.cloudInit?.userData], ["web-1.example.com", ""]);
    const now = await seedAt("changed");
    assert.notEqual(now, first);
    assert.deepEqual(
      (await seeds()).map((name) => join(host.libvirtd.imagesDirectory, name)),
      [now],
    );
    const image = await readFile(now, "utf8");
    for (const part of [other, networkConfig, "web-1.example.com", publicKey, instance])
      assert.ok(image.includes(part), part.slice(0, 20));
    assert.ok(!image.includes(userData));
    assert.match(await host.virsh("dumpxml", "changed"), /<readonly\/>[^]*cidata|cidata[^]*<readonly\/>/);
    const shown = [
      host.agent.log,
      host.agent.output(),
      await host.virsh("dumpxml", "changed", "--security-info"),
      await bytesIn(join(host.agent.directory, "state")),
      await host.client.ask(host.client.contract.operations.ListOperations, {}),
    ];
    shown.forEach((part, index) => assert.ok(!JSON.stringify(part).includes(other), `part ${index}`));

    // A running guest keeps its own, and a deletion removes both.
    await act("StartVm", { vm: "changed" });
    await change("changed", { cloudInit: {}, updateMask: { paths: ["ssh_keys", "network_config"] } });
    assert.equal(await seedAt("changed"), now);
    const next = await seedAt("changed", "--inactive");
    const without = await readFile(next, "utf8");
    assert.ok(without.includes(other) && !without.includes(publicKey) && !without.includes(networkConfig));
    assert.equal((await seeds()).length, 2);
    const kept = { requestId: randomUUID(), vm: "changed", keepDisks: true, force: true };
    await assert.rejects(host.client.ask(host.client.contract.vms.DeleteVm, kept), {
      reason: "VM_HAS_OLD_SEEDS",
    });
    await act("StopVm", { vm: "changed", force: true, gracefulTimeout: { seconds: 0, nanos: 0 } });
    // Another client's start uses the new one as well; the agent's next start, or change, deletes the old one.
    await host.virsh("start", "changed");
    assert.equal(await seedAt("changed"), next);
    await change("changed", { newInstanceId: true });
    assert.deepEqual(
      (await seeds()).map((name) => join(host.libvirtd.imagesDirectory, name)).sort(),
      [next, await seedAt("changed", "--inactive")].sort(),
    );
    await host.remove("changed");
    assert.deepEqual(await seeds(), []);
  });

  test("a VM without a seed gets one, and a seed with other bytes keeps no part", async () => {
    const { contract } = host.client;
    await host.create(bootSector("late", {}), { leaveStopped: true });
    await assert.rejects(change("late", { cloudInit: {}, newInstanceId: true }), { reason: "SPEC_INVALID" });
    const at = { userData, sshKeys: [publicKey], pool: "images" };
    const { error } = await change("late", {
      cloudInit: at,
      updateMask: { paths: ["user_data", "ssh_keys"] },
    });
    assert.equal(error, null, JSON.stringify(error));
    assert.equal((await act("StartVm", { vm: "late" })).state, "STATE_SUCCEEDED");
    const file = await seedAt("late");
    assert.ok((await readFile(file, "utf8")).includes(userData));
    const { spec } = await host.client.ask(contract.vms.GetVm, { vm: "late" });
    assert.deepEqual([spec?.cloudInit?.pool, spec?.cloudInit?.sshKeys], ["images", [publicKey]]);

    await act("StopVm", { vm: "late", force: true, gracefulTimeout: { seconds: 0, nanos: 0 } });
    await writeFile(file, Buffer.alloc(SEED_BYTES, "x"));
    const lost = await change("late", { newInstanceId: true });
    assert.equal(host.failureOf(lost)?.reason, "SEED_UNREADABLE");
    assert.deepEqual(
      (await seeds()).map((name) => join(host.libvirtd.imagesDirectory, name)),
      [file],
    );
    const whole = { cloudInit: { userData: "x" }, updateMask: { paths: ["user_data", "network_config"] } };
    assert.equal((await change("late", whole)).error, null);
    await host.remove("late");
    assert.deepEqual(await seeds(), []);
  });

  test("a creation whose agent is killed writes the seed with its secret parts after the restart", async () => {
    const isMade = (vmId: string) => async (): Promise<boolean> =>
      (await seeds()).includes(seedOf(vmId)) || (await host.domains()).length > 0;
    for (const until of ["admitted", "made"] as const) {
      const name = `killed-${until}`;
      const begun = await host.beginCreate(bootSector(name, { cloudInit: seeded() }));
      if (until === "made") await eventually(isMade(begun.vmId), { what: "the seed", intervalMs: 5 });
      await host.agent.kill();
      await host.agent.startAgain();
      await host.reconnect();
      const end = await host.end(begun);
      assert.equal(end.state, "STATE_SUCCEEDED", JSON.stringify(end.error));
      const image = (await download(end.vmId)).toString("utf8");
      for (const part of [userData, networkConfig, "web-1.example.com", publicKey])
        assert.ok(image.includes(part), `${until}: ${part.slice(0, 20)}`);
      await host.remove(name);
    }
    assert.deepEqual(await seeds(), []);
  });

  test("a creation that fails at the start leaves no seed", async () => {
    await writeFile(join(host.libvirtd.imagesDirectory, "no-kernel"), "no kernel at all");
    const kernelBoot = { kernel: { pool: "images", volume: "no-kernel" } };
    const { state, error, steps } = await host.create(
      linux("stillborn", { kernelBoot, cloudInit: seeded() }),
    );
    assert.equal(state, "STATE_FAILED", JSON.stringify(error));
    assert.deepEqual(
      steps.flatMap((step) => (step.name === "seed" ? [step.outcome] : [])),
      ["undone"],
    );
    assert.deepEqual([await seeds(), await host.domains()], [[], []]);
  });

  test("socle vm create passes files; a VM without its seed does not start, as for libvirt; erasing overwrites it", async () => {
    const files = { "user-data": userData, "network-config": networkConfig, "id.pub": `${publicKey}\n` };
    for (const [file, text] of Object.entries(files)) await writeFile(join(directory, file), text);
    const command = [
      ["vm", "create", "--name", "filed", "--vcpus", "1", "--memory", "32MiB", "--accelerator", "tcg"],
      ["--disk", "new:images:1MiB", "--hostname", "filed", "--ssh-key", join(directory, "id.pub")],
      ["--user-data", join(directory, "user-data"), "--network-config", join(directory, "network-config")],
    ].flat();
    const env = { ...process.env, SOCLE_SOCKET: host.agent.socketPath };
    await run(process.execPath, [...socleCommand, ...command], { env });
    const { contract } = host.client;
    const { vmId, spec } = await host.client.ask(contract.vms.GetVm, { vm: "filed" });
    assert.deepEqual([spec?.cloudInit?.pool, spec?.cloudInit?.sshKeys], ["images", [publicKey]]);
    assert.ok((await download(vmId)).includes(userData));
    await host.virsh("destroy", "filed");
    await eventually(
      async () => (await host.client.ask(contract.vms.GetVm, { vm: "filed" })).state === "VM_STATE_STOPPED",
      { what: "the VM to be stopped" },
    );

    const seed = join(host.libvirtd.imagesDirectory, seedOf(vmId));
    await rename(seed, `${seed}.away`);
    await host.virsh("pool-refresh", "images");
    const start = { requestId: randomUUID(), vm: "filed" };
    const refused = await host.end(await host.client.ask(contract.vms.StartVm, start));
    assert.equal(host.failureOf(refused)?.reason, "VOLUME_NOT_FOUND");
    assert.match(host.failureOf(refused)?.message ?? "", new RegExp(seedOf(vmId)));
    await assert.rejects(host.virsh("start", "filed"), /seed\.iso/);
    await rename(`${seed}.away`, seed);
    await host.virsh("pool-refresh", "images");

    const held = await open(seed);
    try {
      const erase = { requestId: randomUUID(), vm: "filed", eraseDisks: true };
      const erased = await host.end(await host.client.ask(contract.vms.DeleteVm, erase));
      assert.equal(erased.state, "STATE_SUCCEEDED", JSON.stringify(erased.error));
      const { disks } = JSON.parse(erased.result["receipt"] ?? "") as { disks: readonly object[] };
      const of = { disk: "seed", pool: "images", volume: seedOf(vmId) };
      assert.deepEqual(disks.at(-1), { ...of, method: "overwrite", bytes: SEED_BYTES });
      // The deleted file's bytes.
      assert.deepEqual(await held.readFile(), Buffer.alloc(SEED_BYTES));
    } finally {
      await held.close();
    }
    assert.deepEqual(await seeds(), []);
  });
});
