import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { toSocleError } from "../../agent/kernel/errors.ts";
import type { Operation } from "../../agent/state/operations/operation.ts";
import { bootedMarker, linuxCommandLine } from "../support/guest.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, type Rig } from "./vms-stage.ts";

const run = promisify(execFile);

suite("changes of VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 300_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
  });
  after(() => stage.stop());

  test("smoke", async () => {
    const { vmId: vm } = await rig.succeeds(rig.vms.create(linux("changed"), "tester"));
    const disk = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 8 * MIB } };
    const attached = await rig.done(await rig.vms.begin("ATTACH_DISK", { requestId: requestId(), vm, disk }, "tester"));
    console.log(attached.state, attached.error, attached.result, attached.steps);
    console.log(await virsh(libvirtd.uri, ["domblklist", vm]));
    const resized = await rig.done(await rig.vms.begin("RESIZE_DISK", { requestId: requestId(), vm, disk: "data", capacityBytes: 16 * MIB }, "tester"));
    console.log(resized.state, resized.error, resized.result, resized.steps);
    console.log(await virsh(libvirtd.uri, ["domblkinfo", vm, "vda"]));
    const detached = await rig.done(await rig.vms.begin("DETACH_DISK", { requestId: requestId(), vm, disk: "data", deleteVolume: true }, "tester"));
    console.log(detached.state, detached.error, detached.result, detached.steps);
    console.log(await virsh(libvirtd.uri, ["domblklist", vm]), await stage.volumes());
  });
});
