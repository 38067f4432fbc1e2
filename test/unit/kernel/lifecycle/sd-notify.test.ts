import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../../../../agent/kernel/clock.ts";
import { silentLog } from "../../../../agent/kernel/log.ts";
import { SdNotify } from "../../../../agent/kernel/lifecycle/sd-notify.ts";
import { script } from "../../../support/programs.ts";
import { folder } from "../../../support/state/folder.ts";

// A service manager's socket: prints each datagram with its sender's pid as a JSON line, and closes the descriptors that
// come with it, which is how systemd answers systemd-notify's barrier. With a command it plays systemd's OpenFile=: the
// command gets a connected socket as descriptor 3.
const manager = `
import array, json, os, socket, struct, sys
path, command = sys.argv[1], sys.argv[2:]
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
s.bind(path)
print(json.dumps({"listening": True}), flush=True)
if command and os.fork() == 0:
    c = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    c.connect(path)
    if c.fileno() != 3: os.dup2(c.fileno(), 3)
    os.set_inheritable(3, True)
    os.environ.update(NOTIFY_SOCKET=path, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="notify")
    os.execvp(command[0], command)
s.settimeout(20)
while True:
    data, ancillary, _, _ = s.recvmsg(4096, 1024)
    pid = None
    for level, kind, body in ancillary:
        if kind == socket.SCM_RIGHTS:
            fds = array.array("i"); fds.frombytes(body)
            for fd in fds: os.close(fd)
        else: pid = struct.unpack("iii", body)[0]
    print(json.dumps({"pid": pid, "message": data.decode()}), flush=True)
`;

interface Received {
  readonly pid: number;
  readonly message: string;
}

/** Yields the manager's messages; ends with the test. */
async function* startManager(t: TestContext, path: string, command: string[] = []): AsyncGenerator<Received> {
  // Before the socket exists, python's own descriptors take 3: the forked child moves the socket there.
  const child = spawn("python3", ["-c", manager, path, ...command], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill("SIGKILL"));
  let text = "";
  for await (const chunk of child.stdout) {
    text += String(chunk);
    const lines = text.split("\n");
    text = lines.pop() ?? "";
    for (const line of lines) {
      const received = JSON.parse(line) as Received;
      // The barrier of systemd-notify is not part of the messages.
      if (received.message !== "BARRIER=1") yield received;
    }
  }
}

async function next(received: AsyncGenerator<Received>): Promise<Received> {
  const result = await received.next();
  assert.ok(result.done !== true, "the manager ended");
  return result.value;
}

test("without a service manager nothing is sent and no watchdog runs", async () => {
  const notify = new SdNotify({
    environment: { WATCHDOG_USEC: "1000", PATH: "/nonexistent" },
    clock: systemClock,
    log: silentLog,
  });
  await notify.ready("up");
  await notify.stopping();
  await notify.runWatchdog(new AbortController().signal);
});

test("systemd-notify sends readiness with a status, reload, stop and watchdog in order", async (t) => {
  const path = join(await folder(t), "notify");
  const received = startManager(t, path);
  await next(received);
  const sleeps: number[] = [];
  const over = new AbortController();
  const notify = new SdNotify({
    environment: { NOTIFY_SOCKET: path, WATCHDOG_USEC: "30000000", PATH: process.env["PATH"] },
    clock: {
      ...systemClock,
      sleep: (ms) => {
        sleeps.push(ms);
        if (sleeps.length === 2) over.abort();
        return Promise.resolve();
      },
    },
    log: silentLog,
  });
  const sent = Promise.all([notify.ready("3 guests\nREADY=0"), notify.reloading(), notify.stopping()]);
  assert.equal((await next(received)).message.trim(), "READY=1\nSTATUS=3 guests READY=0");
  const reloading = (await next(received)).message.trim();
  const [, usec] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading) ?? [];
  assert.ok(Math.abs(Number(usec) / 1e6 - Number(process.hrtime.bigint()) / 1e9) < 10);
  assert.equal((await next(received)).message.trim(), "STOPPING=1");
  await sent;
  await notify.runWatchdog(over.signal);
  assert.equal((await next(received)).message.trim(), "WATCHDOG=1");
  assert.equal((await next(received)).message.trim(), "WATCHDOG=1");
  assert.deepEqual(sleeps, [15_000, 15_000]);
});

test("over systemd's descriptor the agent's own process sends, without another process", async (t) => {
  const path = join(await folder(t), "notify");
  const sender = script(
    (urlOf) => `
    import { SdNotify } from "${urlOf("agent/kernel/lifecycle/sd-notify.ts")}";
    import { systemClock } from "${urlOf("agent/kernel/clock.ts")}";
    import { silentLog } from "${urlOf("agent/kernel/log.ts")}";
    const environment = { ...process.env, WATCHDOG_USEC: "20000", PATH: "/nonexistent" };
    const notify = new SdNotify({ environment, clock: systemClock, log: silentLog });
    await notify.ready("pid " + process.pid);
    const ended = new AbortController();
    process.once("SIGTERM", () => ended.abort());
    await notify.runWatchdog(ended.signal);
  `,
  );
  const received = startManager(t, path, [process.execPath, ...sender]);
  await next(received);
  const ready = await next(received);
  assert.equal(ready.message, `READY=1\nSTATUS=pid ${ready.pid}`);
  for (let i = 0; i < 3; i += 1) {
    assert.deepEqual(await next(received), { pid: ready.pid, message: "WATCHDOG=1" });
  }
  process.kill(ready.pid, "SIGTERM");
});

test("a watchdog for another process is not fed; a missing manager is only logged", async (t) => {
  const warnings: unknown[] = [];
  const log = Object.assign(Object.create(silentLog) as typeof silentLog, {
    warn: (...args: unknown[]) => warnings.push(args),
  });
  const environment = {
    NOTIFY_SOCKET: join(await folder(t), "gone"),
    WATCHDOG_USEC: "1000",
    WATCHDOG_PID: "1",
  };
  const notify = new SdNotify({ environment, clock: systemClock, log });
  await notify.runWatchdog(new AbortController().signal);
  assert.equal(warnings.length, 0);
  await notify.ready("up");
  await notify.stopping();
  assert.equal(warnings.length, 1);
});
