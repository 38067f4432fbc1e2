// An agent that cannot start prints the cause and a remedy, exits with a defined exit code, and changes nothing.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { HostRecord } from "../../agent/state/records/host-record.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { AgentProcess } from "../support/agent-process.ts";
import { freePort } from "../support/ports.ts";
import { socleCommand } from "../support/programs.ts";
import { clientOf } from "../support/socle-host.ts";

/** Without libvirt, which the agent does not need for its start. */
const libvirt = { uri: "test:///default" };

interface End {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

suite("an agent that cannot start", () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), "socle-start-"))));
  after(() => rm(folder, { recursive: true }));

  /** Runs the agent with this configuration until it exits by itself; `wrap`: a command to run it with. */
  async function end(config: string | object | undefined, wrap: readonly string[] = []): Promise<End> {
    const path = join(folder, `${randomUUID()}.yaml`);
    if (config !== undefined)
      await writeFile(path, typeof config === "string" ? config : JSON.stringify(config));
    const agent = [...socleCommand, "agent", "--config", path];
    const [command, args] =
      wrap[0] === undefined
        ? [process.execPath, agent]
        : [wrap[0], [...wrap.slice(1), process.execPath, ...agent]];
    const ended = await new Promise<End>((resolve) => {
      execFile(command, args, { timeout: 30_000 }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ code, stdout, stderr: stderr.replaceAll(path, "agent.yaml") });
      });
    });
    assert.doesNotMatch(ended.stderr, /^\s+at /m, "no stack trace for users");
    assert.ok(ended.stderr.split("\n").length < 10, ended.stderr);
    return ended;
  }

  /** A valid configuration with `changes`. */
  function config(changes: { api?: object; metrics?: object; state?: object; trust?: object } = {}): object {
    const own = join(folder, randomUUID());
    return {
      libvirt,
      api: { socket: `${own}.sock`, ...changes.api },
      metrics: { listen: null, ...changes.metrics },
      state: { directory: `${own}.state`, ...changes.state },
      trust: { ...changes.trust },
    };
  }

  const malformed: readonly [what: string, text: string, expected: RegExp][] = [
    ["invalid YAML", "api:\n  socket: [unclosed\n", /agent\.yaml:3:1: .*\]/],
    [
      "an unknown key",
      "api:\n  sokcet: /run/x\n",
      /agent\.yaml:2:3: api\.sokcet: unknown key; did you mean socket\?/,
    ],
    ["an unknown section", "metrcs: {}\n", /agent\.yaml:1:1: metrcs: unknown key; did you mean metrics\?/],
    [
      "a wrong type",
      "vm:\n  sampleIntervalSeconds: often\n",
      /agent\.yaml:2:3: vm\.sampleIntervalSeconds: must be a number/,
    ],
    ["a number out of range", "vm:\n  sampleIntervalSeconds: 0\n", /vm\.sampleIntervalSeconds/],
    ["a public TCP address", "api:\n  listen: 0.0.0.0:7440\n", /api\.listen: only a loopback address/],
    [
      "a libvirt on another host",
      "libvirt:\n  uri: qemu+ssh://other/system\n",
      /agent\.yaml:2:3: libvirt\.uri: must be libvirt on this host/,
    ],
  ];
  for (const [what, text, expected] of malformed) {
    test(`${what} is named with its place`, async () => {
      const { code, stdout, stderr } = await end(text);
      assert.match(stderr, expected);
      assert.equal(code, 2);
      assert.equal(stdout, "", "nothing was started");
    });
  }

  test("a missing configuration file is named", async () => {
    const { code, stderr } = await end(undefined);
    assert.match(stderr, /agent\.yaml cannot be read: ENOENT.*socle config show --example/);
    assert.equal(code, 2);
  });

  test("a port in use is named, for the API and for the metrics", async (t) => {
    const server = createServer().listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const listen = `127.0.0.1:${address.port}`;
    for (const busy of [
      config({ api: { listen }, trust: { insecureLoopback: "development" } }),
      config({ metrics: { listen } }),
    ]) {
      const { code, stderr } = await end(busy);
      assert.match(
        stderr,
        new RegExp(`${listen.replaceAll(".", "\\.")}.*(another agent or program|another program has)`),
      );
      assert.equal(code, 4);
    }
  });

  test("a running agent keeps its socket and its state", async (t) => {
    const first = await AgentProcess.start({ config: { libvirt } });
    t.after(() => first.stop());
    const socket = await end(config({ api: { socket: first.socketPath } }));
    assert.match(socket.stderr, /agent\.sock is in use by another agent/);
    assert.equal(socket.code, 4);
    const directory = join(first.directory, "state");
    const state = await end(config({ state: { directory } }));
    assert.match(
      state.stderr,
      new RegExp(`is in use by the agent with pid ${first.pid};.*state\\.directory`),
    );
    assert.equal(state.code, 5);
    const client = await clientOf(first);
    await client.ask(client.contract.host.GetHost, {});
    client.close();
    assert.equal(await first.terminate(), 0);
  });

  test("the socket and the state directory of a killed agent are taken over", async (t) => {
    const agent = await AgentProcess.start({ config: { libvirt } });
    t.after(() => agent.stop());
    await agent.kill();
    await agent.startAgain();
    const client = await clientOf(agent);
    const { position } = await client.ask(client.contract.host.GetHost, {});
    client.close();
    assert.equal(position?.agentEpoch, 2);
  });

  test("a file that is not a socket is left alone at the socket's path", async () => {
    const socket = join(folder, "precious");
    await writeFile(socket, "do not delete");
    const { code, stderr } = await end(config({ api: { socket } }));
    assert.match(stderr, /precious.*not a socket/);
    assert.equal(code, 2);
    assert.equal(await readFile(socket, "utf8"), "do not delete");
  });

  test("a state directory that is not writable is named, with the remedy", async (t) => {
    const directory = join(folder, "read-only");
    await mkdir(directory);
    const directories: [directory: string, wrap: string[]][] = [
      [join(folder, "file/below"), []],
      ["/proc/socle", []],
    ];
    await writeFile(join(folder, "file"), "");
    if (process.getuid?.() === 0) {
      const mount = `mount -t tmpfs -o ro none '${directory}' && exec "$@"`;
      directories.push([directory, ["unshare", "--mount", "sh", "-c", mount, "sh"]]);
    } else {
      t.diagnostic("a read-only filesystem is not tried: only root can mount one");
    }
    for (const [directory, wrap] of directories) {
      const { code, stderr } = await end(config({ state: { directory } }), wrap);
      assert.match(
        stderr,
        new RegExp(`state directory ${directory} cannot be (used|written) .*state\\.directory`),
      );
      assert.equal(code, 4);
    }
  });

  test("a journal that is damaged in the middle stays unchanged and blocks only changes", async (t) => {
    const directory = join(folder, "damaged");
    await mkdir(directory, { mode: 0o700 });
    await HostRecord.open(directory);
    const operations = await Operations.open({
      directory,
      clock: systemClock,
      log: silentLog,
      retentionMs: 86_400_000,
    });
    for (const requestId of ["one", "two", "three"]) {
      const request = {
        requestId,
        caller: "test",
        kind: "START_VM",
        vmId: "x",
        fingerprint: "f",
        intent: {},
      };
      const { operation } = await operations.begin(request);
      await operations.settle(operation.id, { state: "succeeded" });
    }
    await operations.drain(1000);
    const path = join(directory, "operations.journal");
    const damaged = await readFile(path);
    const middle = damaged.indexOf('"two"');
    assert.ok(middle > 0);
    damaged.writeUInt8(damaged.readUInt8(middle + 1) ^ 1, middle + 1);
    await writeFile(path, damaged);
    const agent = await AgentProcess.start({ config: { libvirt, state: { directory } } });
    t.after(() => agent.stop());
    for (let start = 1; start <= 2; start += 1) {
      const client = await clientOf(agent);
      const { health } = await client.ask(client.contract.host.GetHost, {});
      const unreadable = health?.conditions.find(({ type }) => type === "StateUnreadable");
      assert.equal(unreadable?.status, "TRUTH_TRUE");
      assert.match(
        unreadable.evidence,
        /operations\.journal: record \d+ at byte \d+ is damaged.*backup.*move the file aside/,
      );
      const room = { requestId: "four", vcpus: 1, memoryBytes: 2 ** 25, ttl: { seconds: 60 } };
      await assert.rejects(client.ask(client.contract.reservations.Reserve, room), /cannot be read|damaged/);
      const list = client.ask(client.contract.operations.ListOperations, {});
      await assert.rejects(list, /the list of operations is not known: .*operations\.journal/);
      client.close();
      assert.equal(await agent.terminate(), 0);
      assert.deepEqual(await readFile(path), damaged);
      if (start === 1) await agent.startAgain();
    }
  });

  test("a port that failed is free for the next agent", async (t) => {
    const listen = `127.0.0.1:${await freePort()}`;
    const agent = await AgentProcess.start({ config: { libvirt, api: { listen } } });
    t.after(() => agent.stop());
    assert.equal(await agent.terminate(), 0);
    await agent.startAgain();
  });
});
