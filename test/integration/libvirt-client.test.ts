import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { chmod, mkdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { promisify } from "node:util";
import { build } from "esbuild";
import { silentLog } from "../../agent/kernel/log.ts";
import * as p from "../../agent/libvirt/index.ts";
import { Libvirt, type LibvirtEvent, type LibvirtOptions, LibvirtError } from "../../agent/libvirt/index.ts";
import { bootedMarker, guestFilesIn, guestXml, type GuestFiles } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually, within } from "../support/wait.ts";

const skip = libvirtdUnavailable();

async function connect(t: TestContext, uri: string, options: Partial<LibvirtOptions> = {}): Promise<Libvirt> {
  const libvirt = await Libvirt.connect({ uri, log: silentLog, ...options });
  t.after(() => libvirt.close());
  return libvirt;
}

/** All events from now on; an overflow fails the test. */
function events(t: TestContext, libvirt: Libvirt): LibvirtEvent[] {
  const received: LibvirtEvent[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  const queue = libvirt.events.subscribe(stop.signal);
  void (async () => {
    for await (const item of queue) {
      assert.equal(item.kind, "item");
      received.push(item.value);
    }
  })();
  return received;
}

function lifecycle(received: readonly LibvirtEvent[], name: string): string[] {
  return received.flatMap((each) =>
    each.kind === "lifecycle" && each.domain.name === name ? [`${each.event} ${each.detail}`] : [],
  );
}

function reason(thrown: unknown): string {
  assert.ok(thrown instanceof LibvirtError, String(thrown));
  return `${thrown.kind} ${thrown.reason}`;
}

describe("against a real libvirtd", { skip }, () => {
  let libvirtd: Libvirtd;
  let files: GuestFiles;
  before(async () => {
    libvirtd = await Libvirtd.start();
    files = await guestFilesIn(libvirtd.imagesDirectory);
  });
  after(() => libvirtd.stop());

  const sector = (name: string): string => guestXml({ name, boot: { bootSector: files.bootSector } });

  // Bench `client` measures it, against python3-libvirt.
  it("lists a thousand domains and reads each, together and one after the other", async (t) => {
    const domains = Array.from(
      { length: 1000 },
      (_, i) =>
        `<domain type='test'><name>thousand-${i}</name><memory unit='KiB'>${65536 + i}</memory><os><type>hvm</type></os></domain>`,
    );
    const file = join(libvirtd.directory, "thousand.xml");
    await writeFile(file, `<node>${domains.join("")}</node>`);
    const libvirt = await connect(t, `test://${file}?socket=${libvirtd.socketPath}`);
    const info = (dom: p.Domain): Promise<{ maxMem: number }> => libvirt.call(p.domainGetInfo, { dom });
    const together = (domains: readonly p.Domain[]) => Promise.all(domains.map(info));
    const oneByOne = async (domains: readonly p.Domain[]) => {
      const infos = [];
      for (const dom of domains) infos.push(await info(dom));
      return infos;
    };
    for (const ask of [together, oneByOne]) {
      const listed = await libvirt.call(p.connectListAllDomains, { needResults: true, flags: 0 });
      const infos = await ask(listed.domains);
      assert.equal(infos.length, 1000);
      for (const [i, { name }] of listed.domains.entries()) {
        assert.equal(infos[i]?.maxMem, 65536 + Number(name.replace("thousand-", "")));
      }
    }
  });

  it("receives events of virsh's changes: guests, pools and networks", async (t) => {
    const libvirt = await connect(t, libvirtd.uri);
    const received = events(t, libvirt);
    const xml = join(libvirtd.directory, "told.xml");
    await writeFile(xml, sector("told"));
    const uri = libvirtd.uri;
    await virsh(uri, ["define", xml]);
    await virsh(uri, ["start", "told", "--paused"]);
    await virsh(uri, ["resume", "told"]);
    await virsh(uri, ["metadata", "told", "urn:socle:test", "--key", "t", "--set", "<x/>"]);
    await virsh(uri, ["destroy", "told"]);
    await virsh(uri, ["undefine", "told"]);
    await mkdir(join(libvirtd.directory, "told-pool"));
    await virsh(uri, ["pool-create-as", "told", "dir", "--target", join(libvirtd.directory, "told-pool")]);
    await virsh(uri, ["pool-refresh", "told"]);
    await virsh(uri, ["pool-destroy", "told"]);
    await virsh(uri, ["net-start", "default"]);
    await virsh(uri, ["net-destroy", "default"]);
    await eventually(() => received.some((each) => each.kind === "network" && each.event === "stopped"));

    // QEMU may or may not still report its shutdown by the host.
    const reported = lifecycle(received, "told").filter((word) => word !== "shutdown host");
    assert.deepEqual(reported, [
      "defined added",
      "started booted",
      "suspended paused",
      "resumed unpaused",
      "stopped destroyed",
      "undefined removed",
    ]);
    assert.ok(
      received.some((each) => {
        return (
          each.kind === "metadata_change" && each.part === "element" && each.namespace === "urn:socle:test"
        );
      }),
    );
    const pool = received.flatMap((each) =>
      each.kind === "storage_pool" && each.pool.name === "told" ? [each.event] : [],
    );
    assert.deepEqual([pool[0], pool.includes("refreshed"), pool.at(-1)], ["started", true, "stopped"]);
    const network = received.flatMap((each) => (each.kind === "network" ? [each.event] : []));
    assert.deepEqual(network, ["started", "stopped"]);
  });

  it("maps libvirt's errors to kinds and reasons", async (t) => {
    const libvirt = await connect(t, libvirtd.uri);
    const { dom } = await libvirt.call(p.domainDefineXmlFlags, { xml: sector("refusals"), flags: 0 });
    t.after(() => virsh(libvirtd.uri, ["undefine", "refusals"]));
    const none = libvirt.call(p.domainLookupByName, { name: "missing" });
    assert.equal(await none.catch(reason), "not_found LIBVIRT_NO_DOMAIN");
    const stopped = libvirt.call(p.domainDestroyFlags, { dom, flags: 0 });
    assert.equal(await stopped.catch(reason), "conflict LIBVIRT_OPERATION_INVALID");
    const again = libvirt.call(p.domainUndefineFlags, { dom: { ...dom, uuid: randomUUID() }, flags: 0 });
    assert.equal(await again.catch(reason), "not_found LIBVIRT_NO_DOMAIN");
    const bad = libvirt.call(p.domainDefineXmlFlags, { xml: "<domain", flags: 0 });
    assert.equal(await bad.catch(reason), "invalid LIBVIRT_XML_DETAIL");
    const test = await connect(t, `test:///default?socket=${libvirtd.socketPath}`);
    const job = test.call(p.domainGetJobInfo, { dom: { ...dom, id: -1 } });
    assert.equal(await job.catch(reason), "unsupported LIBVIRT_NO_SUPPORT");
  });

  it("uploads and downloads a volume, holes too", async (t) => {
    const libvirt = await connect(t, libvirtd.uri);
    const directory = join(libvirtd.directory, "volumes");
    await mkdir(directory);
    const pool = `<pool type='dir'><name>volumes</name><target><path>${directory}</path></target></pool>`;
    const { pool: there } = await libvirt.call(p.storagePoolCreateXml, { xml: pool, flags: 0 });
    t.after(() => libvirt.call(p.storagePoolDestroy, { pool: there }).catch(() => undefined));
    const size = 8 * 1024 * 1024;
    const xml = `<volume><name>v.img</name><capacity unit='bytes'>${size}</capacity><allocation>0</allocation><target><format type='raw'/></target></volume>`;
    const { vol } = await libvirt.call(p.storageVolCreateXml, { pool: there, xml, flags: 0 });

    const data = randomBytes(3_000_001);
    const upload = await libvirt.openStream(p.storageVolUpload, { vol, offset: 4096, length: 0, flags: 0 });
    await upload.write(data);
    await upload.finish();
    const expected = Buffer.alloc(size);
    data.copy(expected, 4096);
    assert.ok((await readFile(join(directory, "v.img"))).equals(expected));

    for (const flags of [0, p.StorageVolDownloadFlags.SPARSE_STREAM]) {
      const download = await libvirt.openStream(p.storageVolDownload, { vol, offset: 0, length: 0, flags });
      const chunks: Buffer[] = [];
      for await (const chunk of download) chunks.push(chunk);
      assert.ok(Buffer.concat(chunks).equals(expected), `flags ${flags}`);
    }

    const part = await libvirt.openStream(p.storageVolDownload, { vol, offset: 0, length: 0, flags: 0 });
    for await (const chunk of part) {
      assert.ok(chunk.length > 0);
      break;
    }
    const given = await libvirt.openStream(p.storageVolUpload, { vol, offset: 0, length: 0, flags: 0 });
    await given.abort();
    // The volume is free again: libvirt refuses this while a stream is open on it.
    await libvirt.call(p.storageVolDelete, { vol, flags: 0 });
    await assert.rejects(stat(join(directory, "v.img")));
    const gone = libvirt.openStream(p.storageVolDownload, { vol, offset: 0, length: 0, flags: 0 });
    assert.equal(await gone.catch(reason), "not_found LIBVIRT_NO_STORAGE_VOL");
  });

  it("reads and writes a guest's console until the guest ends", async (t) => {
    const libvirt = await connect(t, libvirtd.uri);
    const xmlDesc = guestXml({ name: "console", boot: { linux: files } });
    const { dom } = await libvirt.call(p.domainCreateXml, {
      xmlDesc,
      flags: p.DomainCreateFlags.START_PAUSED,
    });
    const console = await libvirt.openStream(p.domainOpenConsole, { dom, devName: null, flags: 0 });
    const options = { dom, devName: null, flags: p.DomainConsoleFlags.SAFE };
    await assert.rejects(libvirt.openStream(p.domainOpenConsole, options), /Active console session exists/);
    let printed = "";
    const reading = (async () => {
      for await (const chunk of console) printed += chunk.toString();
    })();
    await libvirt.call(p.domainResume, { dom });
    await eventually(() => printed.includes(bootedMarker), { timeoutMs: 90_000, what: "the guest's marker" });
    await eventually(() => printed.includes("guest#"), { timeoutMs: 30_000, what: "the guest's shell" });
    await console.write(Buffer.from("echo typed-$((6 * 7))\n"));
    await eventually(() => printed.includes("typed-42"), { timeoutMs: 30_000, what: "the shell's answer" });
    await libvirt.call(p.domainDestroyFlags, { dom, flags: 0 });
    await within(reading.catch(reason), 60_000, "the console to end");
  });

  it("other calls continue beside a guest that hangs", async (t) => {
    const libvirt = await connect(t, libvirtd.uri);
    const create = { xmlDesc: sector("hangs"), flags: p.DomainCreateFlags.START_PAUSED };
    const { dom: hangs } = await libvirt.call(p.domainCreateXml, create);
    const { dom: fine } = await libvirt.call(p.domainCreateXml, { ...create, xmlDesc: sector("fine") });
    const qemu = (await readFile(join(libvirtd.directory, "run/libvirt/qemu/hangs.pid"), "utf8")).trim();
    await libvirtd.run("kill", ["-STOP", qemu]);
    t.after(async () => {
      await libvirtd.run("kill", ["-KILL", qemu]);
      await virsh(libvirtd.uri, ["destroy", "fine"]);
    });
    const stats = (dom: p.Domain, timeoutMs: number): Promise<unknown> =>
      libvirt.call(p.domainMemoryStats, { dom, maxStats: 16, flags: 0 }, { timeoutMs });
    const hung = Array.from({ length: 6 }, () => stats(hangs, 300).catch(reason));
    const behind = Array.from({ length: 100 }, () => stats(fine, 60_000));
    assert.deepEqual(new Set(await Promise.all(hung)), new Set(["timeout LIBVIRT_TIMEOUT"]));
    await within(Promise.all(behind), 60_000, "the other guest's statistics");
    const change = libvirt.call(p.domainResume, { dom: hangs }, { timeoutMs: 300 });
    assert.equal(await change.catch(reason), "outcome_unknown LIBVIRT_OUTCOME_UNKNOWN");
    assert.equal(libvirt.status.connected, true);
  });

  it("reaches each driver's own daemon where libvirt is modular", async (t) => {
    // Debian's libvirt has no modular daemons; libvirtd answers for each of them under its own URI.
    const directory = join(libvirtd.directory, "modular");
    await mkdir(directory);
    for (const name of [
      "virtqemud",
      "virtnetworkd",
      "virtstoraged",
      "virtnodedevd",
      "virtsecretd",
      "virtnwfilterd",
    ]) {
      await symlink(libvirtd.socketPath, join(directory, `${name}-sock`));
    }
    const libvirt = await connect(t, "qemu:///system", { runDirectory: directory });
    const received = events(t, libvirt);
    const { nets } = await libvirt.call(p.connectListAllNetworks, { needResults: true, flags: 0 });
    assert.deepEqual(
      nets.map(({ name }) => name),
      ["default"],
    );
    await libvirt.call(p.connectListAllStoragePools, { needResults: true, flags: 0 });
    await libvirt.call(p.connectListAllNodeDevices, { needResults: true, flags: 0 });
    await libvirt.call(p.connectListAllSecrets, { needResults: true, flags: 0 });
    const filters = await libvirt.call(p.connectListAllNwfilters, { needResults: true, flags: 0 });
    assert.ok(filters.filters.length > 0);
    await eventually(async () => {
      await virsh(libvirtd.uri, ["net-start", "default"]);
      await virsh(libvirtd.uri, ["net-destroy", "default"]);
      return received.some(({ kind }) => kind === "network");
    });
  });
});

describe("a libvirtd that", { skip }, () => {
  it("dies is detected, and reconnected with its guests and events", async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const files = await guestFilesIn(libvirtd.imagesDirectory);
    const libvirt = await connect(t, libvirtd.uri);
    const received = events(t, libvirt);
    const xmlDesc = guestXml({ name: "survivor", boot: files });
    const { dom } = await libvirt.call(p.domainCreateXml, { xmlDesc, flags: 0 });
    await libvirtd.kill("SIGKILL");
    await eventually(() => !libvirt.status.connected, { what: "the loss to be noticed" });
    assert.match(
      await libvirt.call(p.domainGetState, { dom, flags: 0 }).then(String, reason),
      /^unavailable /,
    );
    await libvirtd.startAgain();
    await eventually(() => libvirt.status.connected, { what: "libvirt to be found again" });
    await eventually(() => received.some(({ kind }) => kind === "resync"), {
      what: "the word to list again",
    });
    assert.equal((await libvirt.call(p.domainGetState, { dom, flags: 0 })).state, p.DomainState.RUNNING);
    await virsh(libvirtd.uri, ["destroy", "survivor"]);
    await eventually(() => lifecycle(received, "survivor").includes("stopped destroyed"));
  });

  it("hangs is dropped by keepalive, and reconnected", async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const libvirt = await connect(t, libvirtd.uri, {
      keepalive: { intervalMs: 500, count: 9 },
      connectTimeoutMs: 60_000,
    });
    // An idle connection stays alive longer than those 5 s, since its ping replies count.
    const idleUntilMs = performance.now() + 6000;
    await eventually(() => performance.now() > idleUntilMs);
    assert.equal(libvirt.status.connected, true);
    await libvirtd.kill("SIGSTOP");
    // On the command lane it would be retried until libvirt is back.
    const read = libvirt.call(p.connectGetHostname, {}, { lane: "observation" }).catch(reason);
    assert.equal(await within(read, 60_000, "the call to fail"), "unavailable LIBVIRT_UNRESPONSIVE");
    await libvirtd.kill("SIGCONT");
    await eventually(() => libvirt.status.connected);
    assert.ok((await libvirt.call(p.connectGetHostname, {})).hostname.length > 0);
  });

  it("uses polkit admits root and no unauthorized user", async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const file = join(libvirtd.directory, "etc/libvirtd.conf");
    const conf = await readFile(file, "utf8");
    await writeFile(file, conf.replace(`auth_unix_rw = "none"`, `auth_unix_rw = "polkit"`));
    await libvirtd.kill("SIGTERM");
    await libvirtd.startAgain();
    // A process of that user, since libvirt reads the peer's credentials from the kernel. It cannot read a checkout under /root,
    // so the client is written to a separate file.
    const client = join(libvirtd.directory, "client.mjs");
    const program = `import { Libvirt } from "./agent/libvirt/index.ts";
      import { silentLog } from "./agent/kernel/log.ts";
      const connecting = Libvirt.connect({ uri: process.argv[2] ?? "", log: silentLog });
      const printed = connecting.then((libvirt) => libvirt.close().then(() => "admitted"));
      console.log(await printed.catch((thrown) => thrown.kind + " " + thrown.reason));`;
    await build({
      stdin: { contents: program, resolveDir: join(import.meta.dirname, "../.."), loader: "ts" },
      outfile: client,
      bundle: true,
      platform: "node",
      format: "esm",
      banner: { js: 'import { createRequire } from "node:module"; const require = createRequire("/");' },
      logLevel: "error",
    });
    const asUser = async (uid: number): Promise<string> => {
      const user = [`--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
      const args = [...user, process.execPath, client, libvirtd.uri];
      return (await promisify(execFile)("setpriv", args, { cwd: "/", timeout: 30_000 })).stdout.trim();
    };
    assert.equal(await asUser(0), "admitted");
    assert.equal(await asUser(65534), "denied LIBVIRT_SOCKET_DENIED");
    await chmod(libvirtd.socketPath, 0o777);
    assert.equal(await asUser(65534), "denied LIBVIRT_AUTH_FAILED");
  });

  it("pings its clients gets replies with every lane busy", async (t) => {
    const libvirtd = await Libvirtd.start({
      libvirtdConf: ["keepalive_interval = 1", "keepalive_count = 4"],
    });
    t.after(() => libvirtd.stop());
    const libvirt = await connect(t, libvirtd.uri);
    // libvirtd drops a client after 5 s without a reply.
    const untilMs = performance.now() + 6000;
    let calls = 0;
    const busy = async (): Promise<void> => {
      for (; performance.now() < untilMs; calls += 1) await libvirt.call(p.connectGetCapabilities, {});
    };
    await Promise.all(Array.from({ length: 8 }, busy));
    const idleUntilMs = performance.now() + 6000;
    await eventually(() => performance.now() > idleUntilMs);
    assert.equal(libvirt.status.connected, true);
    t.diagnostic(`${calls} calls of getCapabilities in 6 s`);
  });
});
