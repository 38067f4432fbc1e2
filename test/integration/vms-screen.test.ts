import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Duplex } from "node:stream";
import { after, before, suite, test, type TestContext } from "node:test";
import { promisify } from "node:util";
import { fromRpcError, isRpcError } from "../../agent/cli/rpc-error.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { socleCommand } from "../support/programs.ts";
import { drawing, litPixels, RfbViewer, sizeOfPng } from "../support/screen/rfb.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually, within } from "../support/wait.ts";

const FULL = 0xdb;
const TEXT_SCREEN = { width: 720, height: 400 };
const CELLS = 80 * 25;

suite("screens of VMs on a real host", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start();
    for (const [name, character] of [
      ["full", FULL],
      ["dots", ".".charCodeAt(0)],
    ] as const)
      await writeFile(join(host.libvirtd.imagesDirectory, `${name}.img`), drawing(character));
    await host.virsh("pool-refresh", "images");
  });
  after(() => host.stop());

  const disk = (image: string) => [
    { name: "boot", volume: { pool: "images", volume: `${image}.img` }, readOnly: true },
  ];
  const create = async (
    t: TestContext,
    name: string,
    image: string,
    changes: object = {},
  ): Promise<string> => {
    t.after(async () => {
      if ((await host.domains()).includes(name)) await host.remove(name);
    });
    const made = await host.create(
      bootSector(name, { disks: disk(image), graphics: "GRAPHICS_VNC", ...changes }),
    );
    assert.equal(made.state, "STATE_SUCCEEDED", JSON.stringify(made.error));
    return made.vmId;
  };
  const ticketFor = async (vm: string): Promise<string> =>
    (await host.client.ask(host.client.contract.screens.CreateScreenTicket, { vm })).ticket;
  const screen = (vm: string, ticket: string): Duplex => {
    const call = host.client.open(host.client.contract.screens.OpenScreen);
    call.write({ vm, ticket });
    const stream = new Duplex({
      read: () => undefined,
      write: (data: Buffer, _, done) => void call.write({ data }, done),
      destroy: (error, done) => {
        call.cancel();
        done(error);
      },
    });
    call.on("data", ({ data }: { data: Buffer }) => stream.push(data));
    call.once("end", () => stream.push(null));
    call.on("error", (error) => stream.destroy(error));
    return stream;
  };
  const refusal = async (stream: Duplex): Promise<string> => {
    stream.resume();
    const [thrown] = (await within(once(stream, "error"), 30_000, "the refusal")) as [Error];
    return isRpcError(thrown) ? fromRpcError(host.client.contract, thrown).reason : thrown.message;
  };
  const reasonOf = async (call: Promise<unknown>): Promise<string> =>
    await call.then(
      () => "accepted",
      (thrown: unknown) => (thrown instanceof SocleError ? thrown.reason : String(thrown)),
    );
  const drawn = async (vm: string): Promise<void> => {
    const look = async (): Promise<boolean> => {
      const call = host.client.watch(host.client.contract.screens.GetScreenshot, { vm });
      const png: Buffer[] = [];
      for await (const piece of call) png.push(piece.png);
      return sizeOfPng(Buffer.concat(png)).width === TEXT_SCREEN.width && (await lit(vm)) > 0;
    };
    await eventually(look, { what: `${vm} to draw`, timeoutMs: 130_000, intervalMs: 250 });
  };
  const lit = async (vm: string): Promise<number> => {
    const stream = screen(vm, await ticketFor(vm));
    try {
      const viewer = new RfbViewer(stream);
      await viewer.greet();
      return litPixels(await viewer.look());
    } finally {
      stream.destroy();
    }
  };
  const screenshot = async (vm: string): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const { png } of host.client.watch(host.client.contract.screens.GetScreenshot, { vm }))
      pieces.push(png);
    return Buffer.concat(pieces);
  };

  test("a viewer sees the pixels that the guest draws, over a socket that others cannot open", async (t) => {
    const id = await create(t, "full", "full");
    await drawn("full");
    const stream = screen("full", await ticketFor("full"));
    const viewer = new RfbViewer(stream);
    assert.match(await viewer.greet(), /full/);
    const { width, height, pixels } = await eventually(
      async () => {
        const seen = await viewer.look();
        return litPixels(seen) === TEXT_SCREEN.width * TEXT_SCREEN.height && seen;
      },
      { what: "the full screen" },
    );
    assert.deepEqual({ width, height }, TEXT_SCREEN);
    assert.equal(pixels.readUInt32LE(4 * (5 * width + 5)) & 0xffffff, 0xa8a8a8, "grey, as BIOS text is");

    const xml = await host.virsh("dumpxml", id);
    assert.match(xml, new RegExp(`<listen type='socket' socket='[^']*/${id}\\.vnc'/>`));
    assert.doesNotMatch(xml, /<graphics[^>]* port='[^-]|passwd/);
    const path = join(host.libvirtd.socketDirectory, `${id}.vnc`);
    assert.equal((await stat(path)).mode & 0o007, 0o005, "connecting takes the right to write");

    await Promise.all([viewer.ended(), host.remove("full")]);
    assert.equal(stream.readableEnded, true, "the screen ended with the VM, without an error");
    await assert.rejects(stat(path), { code: "ENOENT" });
  });

  test("screenshots are pictures of the guest's screen, and two guests' differ", async (t) => {
    await create(t, "full", "full");
    await create(t, "dots", "dots");
    await Promise.all([drawn("full"), drawn("dots")]);
    const [full, dots] = await Promise.all([screenshot("full"), screenshot("dots")]);
    assert.deepEqual(sizeOfPng(full), TEXT_SCREEN);
    assert.deepEqual(sizeOfPng(dots), TEXT_SCREEN);
    assert.notDeepEqual(full, dots);
    assert.ok((await lit("dots")) < CELLS * 30, "dots are few pixels");
    // libvirt's own client gets the same picture.
    const file = join(host.libvirtd.directory, "by-virsh.png");
    await host.virsh("screenshot", "full", "--file", file);
    assert.deepEqual(sizeOfPng(await readFile(file)), TEXT_SCREEN);
    const other = host.client.watch(host.client.contract.screens.GetScreenshot, { vm: "full", screen: 7 });
    assert.equal(await reasonOf(other[Symbol.asyncIterator]().next()), "REQUEST_INVALID");
  });

  test("a ticket opens one screen once, and only that of its VM", async (t) => {
    await create(t, "full", "full");
    await create(t, "dots", "dots");
    const ticket = await ticketFor("full");
    assert.equal(await refusal(screen("dots", ticket)), "SCREEN_TICKET_INVALID", "of another VM");
    assert.equal(await refusal(screen("full", ticket)), "SCREEN_TICKET_INVALID", "it is taken by then");
    const second = await ticketFor("full");
    const open = screen("full", second);
    await new RfbViewer(open).greet();
    assert.equal(await refusal(screen("full", second)), "SCREEN_TICKET_INVALID", "used");
    assert.equal(await refusal(screen("full", "guessed")), "SCREEN_TICKET_INVALID");

    const more = [];
    for (let each = 0; each < 3; each += 1) {
      more.push(screen("full", await ticketFor("full")));
      await new RfbViewer(more[each] as Duplex).greet();
    }
    assert.equal(await refusal(screen("full", await ticketFor("full"))), "SCREENS_EXHAUSTED");
    for (const each of [open, ...more]) each.destroy();
    const next = async (): Promise<boolean> => {
      const stream = screen("full", await ticketFor("full"));
      try {
        await new RfbViewer(stream).greet();
        return true;
      } finally {
        stream.destroy();
      }
    };
    await eventually(next, { what: "a place for another viewer", intervalMs: 200 });
  });

  test("UpdateVm gives a VM a screen at its next start, and takes it", async (t) => {
    const id = await create(t, "later", "full", { graphics: "GRAPHICS_UNSPECIFIED" });
    const opening = async () => screen("later", await ticketFor("later"));
    assert.equal(await refusal(await opening()), "SCREEN_NOT_CONFIGURED");
    const update = async (spec: object, updateMask: readonly string[]) => {
      const { UpdateVm } = host.client.contract.vms;
      const request = {
        requestId: crypto.randomUUID(),
        vm: "later",
        spec,
        updateMask: { paths: [...updateMask] },
      };
      const ended = await host.end(await host.client.ask(UpdateVm, request));
      assert.equal(ended.state, "STATE_SUCCEEDED", JSON.stringify(ended.error));
      return ended.result;
    };
    const restart = async (): Promise<void> => {
      const { StartVm, StopVm } = host.client.contract.vms;
      const stop = {
        requestId: crypto.randomUUID(),
        vm: "later",
        force: true,
        gracefulTimeout: { seconds: 0 },
      };
      await host.end(await host.client.ask(StopVm, stop));
      const started = await host.end(
        await host.client.ask(StartVm, { requestId: crypto.randomUUID(), vm: "later" }),
      );
      assert.equal(started.state, "STATE_SUCCEEDED", JSON.stringify(started.error));
    };
    const vnc = { graphics: "GRAPHICS_VNC", watchdog: { action: "WATCHDOG_ACTION_PAUSE" } };
    const given = await update(vnc, ["graphics", "watchdog"]);
    assert.equal(given["at_next_start"], "graphics,watchdog");
    assert.equal(await refusal(await opening()), "SCREEN_NOT_CONFIGURED", "it runs as it was started");
    await restart();
    await drawn("later");
    assert.match(await host.virsh("dumpxml", id), /<watchdog model='itco' action='pause'>/);
    await update({}, ["graphics", "watchdog"]);
    await restart();
    const xml = await host.virsh("dumpxml", id);
    assert.doesNotMatch(xml, /<graphics|<video/);
    assert.match(xml, /<watchdog model='itco' action='reset'>/, "of the chipset");
    assert.equal(await refusal(await opening()), "SCREEN_NOT_CONFIGURED");
  });

  test("the command serves a screen to one viewer, and saves a screenshot", async (t) => {
    await create(t, "full", "full");
    await drawn("full");
    const environment = { PATH: process.env["PATH"] ?? "", SOCLE_SOCKET: host.agent.socketPath };
    const command = spawn(process.execPath, [...socleCommand, "vm", "screen", "full", "--no-viewer"], {
      env: environment,
    });
    const ended = once(command, "exit");
    const [line] = (await once(createInterface(command.stdout), "line")) as [string];
    const port = Number(/^vnc:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1]);
    const socket = connect(port, "127.0.0.1");
    const viewer = new RfbViewer(socket);
    assert.match(await viewer.greet(), /full/);
    assert.equal(litPixels(await viewer.look()), TEXT_SCREEN.width * TEXT_SCREEN.height);
    const refused = connect(port, "127.0.0.1");
    await once(refused, "error");
    socket.destroy();
    assert.deepEqual(await within(ended, 30_000, "the command to end with its viewer"), [0, null]);

    const file = join(host.libvirtd.directory, "by-socle.png");
    const args = [...socleCommand, "vm", "screenshot", "full", "-o", file];
    await promisify(execFile)(process.execPath, args, { env: environment });
    assert.deepEqual(sizeOfPng(await readFile(file)), TEXT_SCREEN);
  });
});
