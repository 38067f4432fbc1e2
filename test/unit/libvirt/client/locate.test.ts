import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { LibvirtError } from "../../../../agent/libvirt/index.ts";
import { locate, parseUri } from "../../../../agent/libvirt/client/locate.ts";
import type { Family } from "../../../../agent/libvirt/rpc/procedure.ts";

interface Host {
  readonly directory: string;
  readonly find: (uri: string, family?: Family) => ReturnType<typeof locate>;
}

/** A host with sockets at these paths: `run/` for the system's, `user/` for a session's. */
async function host(
  t: TestContext,
  sockets: readonly string[],
  environment: Record<string, string> = {},
): Promise<Host> {
  const directory = await mkdtemp(join(tmpdir(), "socle-locate-"));
  t.after(() => rm(directory, { recursive: true, force: true }));
  for (const name of sockets) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    t.after(() => server.close());
  }
  const absolute = Object.fromEntries(
    Object.entries(environment).map(([name, path]) => [name, join(directory, path)]),
  );
  const locator = { environment: absolute, runDirectory: join(directory, "run") };
  return { directory, find: (uri, family = "hypervisor") => locate(parseUri(uri), family, locator) };
}

describe("a URI", () => {
  const good: readonly [string, string, string | undefined][] = [
    ["qemu:///system", "qemu:///system", undefined],
    ["qemu+unix:///session", "qemu:///session", undefined],
    ["qemu:///system?socket=/a/b%20c", "qemu:///system", "/a/b c"],
    ["test:///default", "test:///default", undefined],
    ["test:///tmp/hosts.xml?socket=/s", "test:///tmp/hosts.xml", "/s"],
  ];
  for (const [text, uri, socketPath] of good) {
    it(`${text} is parsed`, () => {
      const target = parseUri(text);
      assert.deepEqual([target.uri, target.socketPath], [uri, socketPath]);
    });
  }

  const bad: readonly [string, string][] = [
    ["", "invalid"],
    ["qemu", "invalid"],
    ["qemu:///", "invalid"],
    ["qemu:///other", "invalid"],
    ["xen:///system", "invalid"],
    ["test:///", "invalid"],
    ["qemu:///system?sokcet=/x", "invalid"],
    ["qemu:///system?socket=relative", "invalid"],
    ["test:///%zz", "invalid"],
    ["qemu+tls://host/system", "unsupported"],
    ["qemu+tcp:///system", "unsupported"],
    ["qemu+ssh://me@host/system", "unsupported"],
    ["qemu://host/system", "unsupported"],
  ];
  for (const [text, kind] of bad) {
    it(`${text === "" ? "an empty one" : text} is ${kind}`, () => {
      assert.throws(
        () => parseUri(text),
        (error) => error instanceof LibvirtError && error.kind === kind,
      );
    });
  }
});

describe("the socket", () => {
  it("is libvirtd's where there is no other, for every driver", async (t) => {
    const { directory, find } = await host(t, ["run/libvirt-sock"]);
    const expected = {
      socketPath: join(directory, "run/libvirt-sock"),
      uri: "qemu:///system",
      modular: false,
    };
    assert.deepEqual(await find("qemu:///system"), expected);
    assert.deepEqual(await find("qemu:///system", "network"), expected);
  });

  it("is the driver's own where virtqemud runs, even with a libvirtd beside it", async (t) => {
    const daemons = [
      "virtqemud",
      "virtnetworkd",
      "virtstoraged",
      "virtnodedevd",
      "virtsecretd",
      "virtnwfilterd",
      "virtinterfaced",
    ];
    const { directory, find } = await host(t, [
      "run/libvirt-sock",
      ...daemons.map((name) => `run/${name}-sock`),
    ]);
    const families: readonly Family[] = [
      "hypervisor",
      "network",
      "storage",
      "nodedev",
      "secret",
      "nwfilter",
      "interface",
    ];
    for (const [i, family] of families.entries()) {
      const uri = family === "hypervisor" ? "qemu:///system" : `${family}:///system`;
      const socketPath = join(directory, `run/${daemons[i] ?? ""}-sock`);
      assert.deepEqual(await find("qemu:///system", family), { socketPath, uri, modular: true });
    }
  });

  it("of a session is under XDG_RUNTIME_DIR, else in the cache of the user's home", async (t) => {
    const runtime = await host(t, ["user/libvirt/virtqemud-sock", "user/libvirt/virtsecretd-sock"], {
      XDG_RUNTIME_DIR: "user",
      HOME: "home",
    });
    assert.equal(
      (await runtime.find("qemu:///session")).socketPath,
      join(runtime.directory, "user/libvirt/virtqemud-sock"),
    );
    assert.equal((await runtime.find("qemu:///session", "secret")).uri, "secret:///session");
    const home = await host(t, ["home/.cache/libvirt/libvirt-sock"], { HOME: "home" });
    assert.equal(
      (await home.find("qemu:///session")).socketPath,
      join(home.directory, "home/.cache/libvirt/libvirt-sock"),
    );
    const nothing = await host(t, []);
    await assert.rejects(nothing.find("qemu:///session"), /XDG_RUNTIME_DIR or HOME/);
  });

  it("of the test driver is libvirtd's, for virtqemud has none", async (t) => {
    const { directory, find } = await host(t, ["run/virtqemud-sock", "run/libvirt-sock"]);
    assert.equal((await find("test:///default")).socketPath, join(directory, "run/libvirt-sock"));
  });

  it("is the configured one, for every driver", async (t) => {
    const { directory, find } = await host(t, ["elsewhere", "run/virtqemud-sock"]);
    const path = join(directory, "elsewhere");
    const expected = { socketPath: path, uri: "qemu:///system", modular: false };
    assert.deepEqual(await find(`qemu:///system?socket=${path}`, "storage"), expected);
  });

  it("that is missing is reported with the paths that were tried; a plain file is no socket", async (t) => {
    const { directory, find } = await host(t, ["run/other"]);
    await writeFile(join(directory, "run/libvirt-sock"), "");
    await assert.rejects(find("qemu:///system"), (error) => {
      assert.ok(error instanceof LibvirtError);
      assert.equal(error.kind, "unavailable");
      for (const name of ["virtqemud-sock", "libvirt-sock"])
        assert.ok(error.message.includes(join(directory, "run", name)));
      return true;
    });
  });
});
