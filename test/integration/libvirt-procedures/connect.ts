import assert from "node:assert/strict";
import { hostname } from "node:os";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { Connection } from "../../../agent/libvirt/rpc/connection.ts";
import * as p from "../../../agent/libvirt/index.ts";
import { within } from "../../support/wait.ts";
import { lines, names, type Proofs } from "./world.ts";

const tcg = { emulator: null, arch: null, machine: null, virttype: "qemu" };

/** The last `1.2.3` on the first line that begins so, as libvirt counts versions. */
function versionIn(output: string, beginning: string): number {
  const line = output.split("\n").find((each) => each.startsWith(beginning)) ?? "";
  const [major = 0, minor = 0, micro = 0] = (/(\d+)\.(\d+)\.(\d+)/.exec(line) ?? []).slice(1).map(Number);
  return major * 1_000_000 + minor * 1000 + micro;
}

export const connect: Proofs = {
  "a session opens, reports its capabilities, and closes": async ({ host, ledger }) => {
    const connection = await Connection.open(
      { socketPath: host.socketPath, clock: systemClock, maxInFlight: 4, maxQueued: 16 },
      AbortSignal.timeout(60_000),
    );
    const on = ledger.by({
      call: (procedure, args) => connection.call(procedure, args, { timeoutMs: 60_000 }),
    });
    assert.deepEqual(await on.answers(p.authList, {}), { types: [p.AuthType.NONE] });
    await on.answers(p.connectOpen, { name: "qemu:///system", flags: 0 });
    const feature = p.DriverFeature.REMOTE_EVENT_CALLBACK;
    assert.deepEqual(await on.answers(p.connectSupportsFeature, { feature }), { supported: true });
    assert.deepEqual(await on.answers(p.connectSupportsFeature, { feature: 12345 }), { supported: false });
    await on.answers(p.connectRegisterCloseCallback, {});
    await on.answers(p.connectUnregisterCloseCallback, {});
    // A daemon without authentication has no error for this: it returns an "internal error", or the last error of the worker
    // that took the call.
    await on.refuses(p.authPolkit, {});
    await on.answers(p.connectClose, {});
    await within(connection.closed, 60_000, "the daemon to close the connection");
  },

  "the daemon and the hypervisor say who they are": async ({ on, host, virsh }) => {
    const versions = await virsh("version");
    const { hvVer } = await on.answers(p.connectGetVersion, {});
    const { libVer } = await on.answers(p.connectGetLibVersion, {});
    assert.equal(hvVer, versionIn(versions, "Running hypervisor"));
    assert.equal(libVer, versionIn(versions, "Using library"));
    assert.deepEqual(await on.answers(p.connectGetType, {}), { type: "QEMU" });
    assert.deepEqual(await on.answers(p.connectGetUri, {}), { uri: "qemu:///system" });
    assert.deepEqual(await on.answers(p.connectIsSecure, {}), { secure: true });
    const named = await on.answers(p.connectGetHostname, {});
    assert.equal(named.hostname, await virsh("hostname"));
    assert.notEqual(named.hostname, hostname(), "the private host has a name of its own");
    assert.ok(host.directory.endsWith(named.hostname));
    // A virtual machine without SMBIOS has no data.
    const sysinfo = await on.answersUnless(p.connectGetSysinfo, { flags: 0 }, ["LIBVIRT_CONFIG_UNSUPPORTED"]);
    if (sysinfo !== undefined) assert.match(sysinfo.sysinfo, /^<sysinfo/);
  },

  "capabilities are those that virsh shows": async ({ on, virsh }) => {
    const { capabilities } = await on.answers(p.connectGetCapabilities, {});
    assert.equal(capabilities.trim(), await virsh("capabilities"));
    const ask = { emulatorbin: null, arch: null, machine: null, virttype: "qemu", flags: 0 };
    const ofDomains = await on.answers(p.connectGetDomainCapabilities, ask);
    assert.equal(ofDomains.capabilities.trim(), await virsh("domcapabilities", "--virttype", "qemu"));
    const { maxVcpus } = await on.answers(p.connectGetMaxVcpus, { type: "qemu" });
    assert.ok(maxVcpus >= 1);
    const pools = await on.answers(p.connectGetStoragePoolCapabilities, { flags: 0 });
    assert.equal(pools.capabilities.trim(), await virsh("pool-capabilities"));
  },

  "CPUs are named, compared and brought to a common base": async ({ on, virsh }) => {
    const known = await on.answers(p.connectGetCpuModelNames, {
      arch: "x86_64",
      needResults: true,
      flags: 0,
    });
    assert.deepEqual([...known.models].sort(), lines(await virsh("cpu-models", "x86_64")));
    assert.equal(known.ret, known.models.length);
    const count = await on.answers(p.connectGetCpuModelNames, {
      arch: "x86_64",
      needResults: false,
      flags: 0,
    });
    assert.deepEqual(count, { models: [], ret: known.ret });

    const { capabilities } = await on.answers(p.connectGetCapabilities, {});
    const cpu = /<host>[^]*?(<cpu>[^]*?<\/cpu>)/.exec(capabilities)?.[1];
    assert.ok(cpu);
    const compared = await on.answers(p.connectCompareCpu, { xml: cpu, flags: 0 });
    assert.equal(compared.result, p.CPUCompareResult.IDENTICAL);
    const qemu64 = "<cpu mode='custom' match='exact'><model>qemu64</model></cpu>";
    const hypervisor = await on.answers(p.connectCompareHypervisorCpu, { ...tcg, xmlCpu: qemu64, flags: 0 });
    assert.equal(hypervisor.result, p.CPUCompareResult.SUPERSET);
    const base = await on.answers(p.connectBaselineCpu, { xmlCpus: [cpu], flags: 0 });
    assert.match(base.cpu, /^<cpu mode='custom'[^]*<model /);
    const runnable = await on.answers(p.connectBaselineHypervisorCpu, { ...tcg, xmlCpus: [cpu], flags: 0 });
    assert.match(runnable.cpu, /^<cpu mode='custom'[^]*<model /);
  },

  "all domains are listed and counted at once": async ({ on, xml, virsh }) => {
    const define = (name: string) => on.answers(p.domainDefineXmlFlags, { xml: xml(name), flags: 0 });
    const all = await Promise.all([define("socle-proc-list-1"), define("socle-proc-list-2")]);
    const first = all[0].dom;
    const { dom: running } = await on.answers(p.domainCreateWithFlags, {
      dom: first,
      flags: p.DomainCreateFlags.START_PAUSED,
    });
    const listed = await on.answers(p.connectListAllDomains, { needResults: true, flags: 0 });
    assert.deepEqual(names(listed.domains), lines(await virsh("list", "--all", "--name")));
    assert.equal(listed.ret, listed.domains.length);
    const active = await on.answers(p.connectListAllDomains, {
      needResults: true,
      flags: p.ConnectListAllDomainsFlags.ACTIVE,
    });
    assert.deepEqual(active.domains, [running]);

    const { retStats } = await on.answers(p.connectGetAllDomainStats, {
      doms: [],
      stats: p.flags(p.DomainStatsTypes.STATE, p.DomainStatsTypes.CPU_TOTAL, p.DomainStatsTypes.BLOCK),
      flags: p.flags(
        p.ConnectGetAllDomainStatsFlags.ACTIVE,
        p.ConnectGetAllDomainStatsFlags.NOWAIT,
        p.ConnectGetAllDomainStatsFlags.ENFORCE_STATS,
      ),
    });
    const [record] = retStats;
    assert.equal(retStats.length, 1);
    assert.deepEqual(record?.dom, running);
    const value = (field: string) => record.params.find((each) => each.field === field)?.value;
    assert.deepEqual(value("state.state"), { type: "int", value: p.DomainState.PAUSED });
    assert.deepEqual(value("state.reason"), { type: "int", value: p.DomainStateReason.PAUSED.USER });
    assert.deepEqual(value("block.0.name"), { type: "string", value: "vda" });
    assert.deepEqual(value("block.0.capacity"), { type: "ullong", value: 1024 * 1024 });
    const theirs = lines(await virsh("domstats", "--state", "--cpu-total", "--block", running.name));
    const fields = theirs
      .filter((line) => line.includes("="))
      .map((line) => line.slice(0, line.indexOf("=")));
    assert.deepEqual(record.params.map(({ field }) => field).sort(), fields.sort());

    const some = await on.answers(p.connectGetAllDomainStats, {
      doms: all.map(({ dom }) => dom),
      stats: p.DomainStatsTypes.STATE,
      flags: 0,
    });
    assert.equal(some.retStats.length, 2);
    await on.answers(p.domainDestroyFlags, { dom: running, flags: 0 });
    for (const { dom } of all) await on.answers(p.domainUndefineFlags, { dom, flags: 0 });
  },
};
