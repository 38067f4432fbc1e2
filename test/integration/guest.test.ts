import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { silentLog } from "../../agent/kernel/log.ts";
import { toSocleError } from "../../agent/kernel/errors.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const SECRET = "tr0ub4dor-and-3";

/** Answers libvirt's synchronization, and everything else with this. A read ends while libvirt is not connected. */
const liar = (answer: string): string =>
  `while :; do read -r line || { usleep 100000; continue; }; case "$line" in ` +
  `*guest-sync*) echo "$line" | sed 's/.*"id":\\([0-9]*\\).*/{"return": \\1}/';; *) ${answer};; esac; done`;

suite(
  "guests through their agents, over a real libvirtd",
  { skip: libvirtdUnavailable(), timeout: 900_000 },
  () => {
    let host: SocleHost;
    let libvirt: Libvirt;
    let shell: GuestShell;

    const guests = () => host.client.contract.guests;
    const withAgent = (name: string) => {
      const kernelBoot = linux(name).kernelBoot ?? {};
      const initrd = { pool: "images", volume: "initrd-ga" };
      return linux(name, { guestAgent: true, kernelBoot: { ...kernelBoot, initrd } });
    };
    const info = (vm: string) => host.client.ask(guests().GetGuestInfo, { vm }, { timeoutMs: 180_000 });
    const exec = (request: object) =>
      host.client.ask(guests().ExecInGuest, { vm: "asked", ...request }, { timeoutMs: 180_000 });
    const reasonOf = async (call: Promise<unknown>): Promise<string> => {
      try {
        await call;
        return "done";
      } catch (thrown) {
        const { kind, reason } = toSocleError(thrown);
        return `${kind} ${reason}`;
      }
    };
    const untilAnswering = (vm: string) =>
      eventually(async () => (await reasonOf(info(vm))) === "done", {
        what: `the agent in ${vm}`,
        timeoutMs: 180_000,
      });
    /** The socle command, with this on its stdin. */
    const socle = (
      input: string,
      ...args: string[]
    ): Promise<{ code: number | null; stdout: string; stderr: string }> =>
      new Promise((resolve) => {
        const env = { PATH: process.env["PATH"] ?? "", SOCLE_SOCKET: host.agent.socketPath };
        const child = execFile(
          process.execPath,
          [...socleCommand, ...args],
          { env, timeout: 60_000 },
          (_, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
        );
        child.stdin?.end(input);
      });

    before(async () => {
      host = await SocleHost.start({ config: { tenants: { byName: { quiet: { guestExec: false } } } } });
      libvirt = await Libvirt.connect({ uri: host.libvirtd.uri, log: silentLog });
      for (const spec of [withAgent("asked"), withAgent("other")])
        assert.equal((await host.create(spec)).error, null);
    });
    after(async () => {
      try {
        await shell.close();
      } finally {
        await libvirt.close();
        await host.stop();
      }
    });

    test("libvirt's wait for a guest agent is limited once the agent connects, before its first use", async () => {
      const status = () => readFile(join(host.libvirtd.runDirectory, "qemu/other.xml"), "utf8");
      await eventually(async () => /<agentTimeout>3</.test(await status()), {
        what: "the limit",
        timeoutMs: 180_000,
      });
      await untilAnswering("asked");
      await untilAnswering("other");
      shell = await GuestShell.join(libvirt, "asked");
    });

    test("no channel, no agent and no answer are three reasons", async () => {
      for (const spec of [bootSector("plain"), bootSector("mute", { guestAgent: true })])
        assert.equal((await host.create(spec)).error, null);
      assert.equal(await reasonOf(info("plain")), "conflict GUEST_AGENT_NOT_CONFIGURED");
      assert.equal(await reasonOf(info("mute")), "unavailable GUEST_AGENT_NOT_CONNECTED");
      await host.remove("plain");
      await host.remove("mute");
      await shell.run("kill -STOP $(pidof qemu-ga)");
      assert.equal(await reasonOf(info("asked")), "timeout GUEST_AGENT_NOT_ANSWERING");
      const sync = host.client.ask(guests().SyncGuestTime, { vm: "asked" }, { timeoutMs: 180_000 });
      assert.equal(await reasonOf(sync), "outcome_unknown GUEST_OUTCOME_UNKNOWN");
      await shell.run("kill -CONT $(pidof qemu-ga)");
      await untilAnswering("asked");
    });

    test("the guest's own account of itself", async () => {
      await shell.run("hostname tiny-7; ip addr add 192.0.2.9/24 dev lo");
      const { hostname, agentVersion, interfaces, kernel } = await info("asked");
      assert.equal(hostname, "tiny-7");
      assert.match(agentVersion, /^\d+\.\d+/);
      assert.equal(kernel, (await shell.run("uname -r")).trim());
      const loopback = interfaces.find(({ name }) => name === "lo");
      assert.ok(loopback?.addresses.includes("192.0.2.9/24"), JSON.stringify(interfaces));
      const shown = await socle("", "guest", "info", "asked");
      assert.match(shown.stdout, /hostname +tiny-7/);
    });

    test("a password reaches the guest, and nothing that the host keeps", async () => {
      // The tiny guest has no chpasswd.
      await shell.run(
        "printf '#!/bin/sh\\ncat >/run/chpasswd.in\\n' >/usr/sbin/chpasswd; chmod 755 /usr/sbin/chpasswd",
      );
      const set = await socle(`${SECRET}\n`, "guest", "password", "asked", "root");
      assert.deepEqual([set.code, set.stderr], [0, ""], set.stderr);
      assert.equal((await shell.run("cat /run/chpasswd.in")).trim(), `root:${SECRET}`);
      const echo = { path: "/bin/sh", arguments: ["-c", `echo ${SECRET}`] };
      assert.equal((await exec(echo)).output.toString(), `${SECRET}\n`);
      const kept = [host.agent.output(), ...(await textsBelow(join(host.agent.directory, "state")))];
      for (const text of kept) assert.ok(!text.includes(SECRET), "the secret was stored");
      assert.ok(
        kept.some((text) => text.includes("SetGuestPassword") && text.includes("/bin/sh")),
        "it was audited",
      );
      const bad = host.client.ask(guests().SetGuestPassword, { vm: "asked", user: "a b", password: "x" });
      assert.equal(await reasonOf(bad), "invalid REQUEST_INVALID");
    });

    test("SSH keys are added once, and replaced", async () => {
      await shell.run(
        "echo root:x:0:0:root:/root:/bin/sh >/etc/passwd; echo root:x:0: >/etc/group; mkdir -p /root",
      );
      const [first, second] = ["ssh-ed25519 AAAAfirst a@b", "ssh-ed25519 AAAAsecond c@d"];
      const keys = async () => (await shell.run("cat /root/.ssh/authorized_keys")).trim().split("\n");
      for (const key of [first, second, second])
        assert.equal(
          (await socle(`${key}\n`, "guest", "ssh-keys", "asked", "root", "--key-file", "-")).code,
          0,
        );
      assert.deepEqual(await keys(), [first, second]);
      assert.equal(
        (await socle(second, "guest", "ssh-keys", "asked", "root", "--key-file", "-", "--replace")).code,
        0,
      );
      assert.deepEqual(await keys(), [second]);
    });

    test("the guest's clock follows the host's", async () => {
      await shell.run("date -u -s '2001-02-03 04:05:06'");
      assert.equal((await socle("", "guest", "sync-time", "asked")).code, 0);
      const behind = Date.now() / 1000 - Number(await shell.run("date +%s"));
      assert.ok(Math.abs(behind) < 60, `${behind} s behind`);
    });

    test("a program's output, exit code and end", async () => {
      const script = "echo out $NAME; cat; echo err >&2; exit 3";
      const ended = await exec({
        path: "/bin/sh",
        arguments: ["-c", script],
        environment: ["NAME=value", "PATH=/bin"],
        input: Buffer.from("in\n"),
      });
      const { exitCode, truncated } = ended;
      assert.deepEqual(
        [exitCode, ended.output.toString(), ended.errorOutput.toString(), truncated],
        [3, "out value\nin\n", "err\n", false],
      );
      const large = await exec({
        path: "/bin/sh",
        arguments: ["-c", "head -c 400000 /dev/zero | tr '\\0' x"],
      });
      assert.deepEqual([large.output.length, large.truncated], [256 * 1024, true]);
      const long = { path: "/bin/sleep", arguments: ["1000"], timeout: { seconds: 1 } };
      assert.equal(await reasonOf(exec(long)), "timeout GUEST_EXEC_RUNNING");
      assert.equal(await reasonOf(exec({ path: "/bin/missing" })), "conflict GUEST_REFUSED");
      assert.equal(await reasonOf(exec({ path: "" })), "invalid REQUEST_INVALID");
      assert.equal(await reasonOf(exec({ path: "/bin/sh", arguments: ["a\0b"] })), "invalid REQUEST_INVALID");
      const ran = await socle("", "guest", "exec", "asked", "--", "/bin/sh", "-c", "echo hello; exit 4");
      assert.deepEqual([ran.code, ran.stdout], [1, "hello\n"]);
      assert.match(ran.stderr, /\/bin\/sh exited with 4/);
    });

    test("a tenant's rule keeps every caller's programs out of its guests", async () => {
      const spec = { ...bootSector("quiet", { guestAgent: true }), tenant: "quiet" };
      assert.equal((await host.create(spec)).error, null);
      assert.equal(await reasonOf(exec({ vm: "quiet", path: "/bin/true" })), "denied GUEST_EXEC_NOT_ALLOWED");
      await host.remove("quiet");
    });

    test("a guest that hangs delays no call to another guest, and no stop of its own", async () => {
      await shell.run("kill -STOP $(pidof qemu-ga)");
      const ended: string[] = [];
      const hanging = Promise.all(
        [1, 2, 3, 4].map(async () => {
          const reason = await reasonOf(info("asked"));
          ended.push("hung");
          return reason;
        }),
      );
      await info("other");
      ended.push("other");
      const { vms } = host.client.contract;
      const request = { requestId: randomUUID(), vm: "asked" };
      for (const method of [vms.PauseVm, vms.ResumeVm])
        assert.equal(
          (await host.end(await host.client.ask(method, { ...request, requestId: randomUUID() }))).error,
          null,
        );
      ended.push("paused");
      assert.ok(ended.indexOf("paused") < 3, `in this order: ${ended.join(" ")}`);
      assert.ok(ended.indexOf("other") <= 1, `in this order: ${ended.join(" ")}`);
      const reasons = await hanging;
      assert.ok(
        reasons.every((reason) => reason === "timeout GUEST_AGENT_NOT_ANSWERING"),
        reasons.join(", "),
      );
      await shell.run("kill -CONT $(pidof qemu-ga)");
      await untilAnswering("asked");
    });

    test("a guest that lies or floods is refused, and costs only itself", async () => {
      const port = (await shell.run("ls /dev/vport*")).trim();
      await shell.run("kill $(pidof qemu-ga); while pidof qemu-ga; do usleep 50000; done");
      const asked = (reason: RegExp, what: string) =>
        eventually(async () => reason.test(await reasonOf(info("asked"))), { what, timeoutMs: 120_000 });
      /** A call that meets an agent's start or end may report that it does not answer. */
      const lie = async (script: string, refusal: RegExp): Promise<void> => {
        await asked(/^unavailable GUEST_AGENT_NOT_CONNECTED$/, "libvirt to see that no agent is there");
        await shell.run(`( (${script}) <>${port} >&0 2>/dev/null & echo $! >/run/liar )`);
        await asked(refusal, `the liar to be refused: ${script}`);
        await shell.run("kill -9 $(cat /run/liar)");
        await info("other");
      };
      await lie(liar(`echo '{"return": {"version": 7}}'`), /^conflict GUEST_REFUSED$/);
      const refusal = /^(conflict GUEST_REFUSED|timeout GUEST_AGENT_NOT_ANSWERING)$/;
      for (const answer of ["echo nonsense", `echo '{"return": ['`]) await lie(liar(answer), refusal);
      await lie("exec tr '\\0' x </dev/zero", refusal);
      const request = { requestId: randomUUID(), vm: "asked", force: true, gracefulTimeout: { seconds: 0 } };
      const stop = await host.end(await host.client.ask(host.client.contract.vms.StopVm, request));
      assert.equal(stop.error, null);
      assert.equal(await reasonOf(info("asked")), "conflict VM_STATE_CONFLICT");
    });

    test("a guest whose agent hangs shuts down when it is asked to", async () => {
      const other = await GuestShell.join(libvirt, "other");
      await other.run("kill -STOP $(pidof qemu-ga)");
      const hanging = Promise.all([reasonOf(info("other")), reasonOf(info("other"))]);
      const request = { requestId: randomUUID(), vm: "other", gracefulTimeout: { seconds: 240 } };
      const stop = await host.client.ask(host.client.contract.vms.StopVm, request);
      const { error, result } = await host.end(stop, 250_000);
      assert.deepEqual([error, result["stopped_by"]], [null, "guest"]);
      await hanging;
      await other.close();
    });
  },
);

async function textsBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return await Promise.all(files.map(({ parentPath, name }) => readFile(join(parentPath, name), "latin1")));
}
