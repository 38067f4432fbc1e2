import assert from "node:assert/strict";
import * as p from "../../../agent/libvirt/index.ts";
import type { Procedure, TypedParameter } from "../../../agent/libvirt/index.ts";
import { text, uint, ullong, valueOf, type Proofs, type World } from "./world.ts";

const live = p.DomainModificationImpact.LIVE;
const config = p.DomainModificationImpact.CONFIG;
const cpuOnly = (cpu: number): Uint8Array => Buffer.from([1 << cpu]);

/** A running guest that can grow: one of two vCPUs, 48 of 64 MiB, an I/O thread. */
async function withGuest({ on, xml }: World, use: (dom: p.Domain) => Promise<void>): Promise<void> {
  const small = xml("socle-proc-tune", { memoryMib: 64, vcpus: 2 })
    .replace("<vcpu>2</vcpu>", "<vcpu current='1'>2</vcpu><iothreads>1</iothreads>")
    .replace("<vcpu", "<currentMemory unit='MiB'>48</currentMemory><vcpu");
  const defined = await on.answers(p.domainDefineXmlFlags, { xml: small, flags: 0 });
  const { dom } = await on.answers(p.domainCreateWithFlags, { ...defined, flags: 0 });
  try {
    await use(dom);
  } finally {
    await on.answers(p.domainDestroyFlags, { dom, flags: 0 });
    await on.answers(p.domainUndefineFlags, { dom, flags: 0 });
  }
}

type GetParameters = Procedure<
  { dom: p.Domain; nparams: number; flags: number },
  { params: TypedParameter[]; nparams: number }
>;
type SetParameters = Procedure<{ dom: p.Domain; params: TypedParameter[]; flags: number }, object>;

export const tuning: Proofs = {
  "vCPUs are counted, plugged, pinned and measured": (world) =>
    withGuest(world, async (dom) => {
      const { on, virsh } = world;
      const maximum = p.flags(p.DomainVcpuFlags.CONFIG, p.DomainVcpuFlags.MAXIMUM);
      assert.deepEqual(await on.answers(p.domainGetVcpusFlags, { dom, flags: maximum }), { num: 2 });
      await on.answers(p.domainSetVcpusFlags, { dom, nvcpus: 2, flags: p.DomainVcpuFlags.LIVE });
      assert.deepEqual(await on.answers(p.domainGetVcpusFlags, { dom, flags: live }), { num: 2 });
      assert.equal(await virsh("vcpucount", dom.name, "--live", "--active"), "2");
      await on.answers(p.domainSetVcpu, { dom, cpumap: "1", state: 1, flags: config });
      assert.equal(await virsh("vcpucount", dom.name, "--config", "--active"), "2");

      const vcpus = await on.answers(p.domainGetVcpus, { dom, maxinfo: 2, maplen: 1 });
      assert.deepEqual(
        vcpus.info.map(({ number, state }) => [number, state]),
        [
          [0, p.VcpuState.RUNNING],
          [1, p.VcpuState.RUNNING],
        ],
      );
      assert.equal(vcpus.cpumaps.length, 2);
      await on.answers(p.domainPinVcpuFlags, { dom, vcpu: 1, cpumap: cpuOnly(0), flags: live });
      const pins = { dom, ncpumaps: 2, maplen: 1, flags: live };
      const { num, cpumaps } = await on.answers(p.domainGetVcpuPinInfo, pins);
      assert.deepEqual([num, cpumaps[1]], [2, 1]);
      assert.match(await virsh("vcpupin", dom.name, "--vcpu", "1"), /1\s+0$/m);
      await world.recorder.waitFor(
        p.domainEventCallbackTunable,
        (received) => received.dom.uuid === dom.uuid && valueOf(received.params, "cputune.vcpupin1") === "0",
      );
      await on.answers(p.domainPinEmulator, { dom, cpumap: cpuOnly(0), flags: live });
      const emulator = await on.answers(p.domainGetEmulatorPinInfo, { dom, maplen: 1, flags: live });
      assert.deepEqual([emulator.ret, emulator.cpumaps[0]], [1, 1]);
      assert.match(await virsh("emulatorpin", dom.name), /\b0$/);

      const total = { dom, startCpu: -1, ncpus: 1, flags: 0 };
      const { nparams } = await on.answers(p.domainGetCpuStats, { ...total, nparams: 0 });
      const { params } = await on.answers(p.domainGetCpuStats, { ...total, nparams });
      assert.ok(Number(valueOf(params, "cpu_time")) > 0);
    }),

  "I/O threads are added, pinned and removed": (world) =>
    withGuest(world, async (dom) => {
      const { on, virsh } = world;
      await on.answers(p.domainAddIothread, { dom, iothreadId: 5, flags: live });
      await on.answers(p.domainPinIothread, { dom, iothreadsId: 5, cpumap: cpuOnly(0), flags: live });
      const params = [ullong("poll_max_ns", 12345)];
      await on.answers(p.domainSetIothreadParams, { dom, iothreadId: 5, params, flags: live });
      const { info, ret } = await on.answers(p.domainGetIothreadInfo, { dom, flags: live });
      assert.deepEqual([ret, info.map(({ iothreadId }) => iothreadId).sort()], [2, [1, 5]]);
      const added = info.find(({ iothreadId }) => iothreadId === 5);
      assert.deepEqual(Buffer.from(added?.cpumap ?? []), cpuOnly(0));
      assert.match(await virsh("iothreadinfo", dom.name), /^ ?5\s+0$/m);
      const { retStats } = await on.answers(p.connectGetAllDomainStats, {
        doms: [dom],
        stats: p.DomainStatsTypes.IOTHREAD,
        flags: 0,
      });
      assert.equal(valueOf(retStats[0]?.params ?? [], "iothread.5.poll-max-ns"), 12345);
      await on.answers(p.domainDelIothread, { dom, iothreadId: 5, flags: live });
    }),

  "memory is set and measured": (world) =>
    withGuest(world, async (dom) => {
      const { on, virsh } = world;
      assert.deepEqual(await on.answers(p.domainGetMaxMemory, { dom }), { memory: 64 * 1024 });
      await on.answers(p.domainSetMemoryFlags, {
        dom,
        memory: 40 * 1024,
        flags: p.DomainMemoryModFlags.CONFIG,
      });
      assert.match(await virsh("dumpxml", "--inactive", dom.name), /<currentMemory unit='KiB'>40960</);
      await on.answers(p.domainSetMemoryFlags, {
        dom,
        memory: 40 * 1024,
        flags: p.DomainMemoryModFlags.LIVE,
      });
      await on.answers(p.domainSetMemoryStatsPeriod, { dom, period: 3, flags: live });
      assert.match(await virsh("dumpxml", dom.name), /<stats period='3'\/>/);
      const { stats } = await on.answers(p.domainMemoryStats, { dom, maxStats: 16, flags: 0 });
      const actual = stats.find(({ tag }) => tag === p.DomainMemoryStatTags.ACTUAL_BALLOON);
      const theirs = /^actual (\d+)$/m.exec(await virsh("dommemstat", dom.name))?.[1];
      assert.equal(String(actual?.val), theirs);
      assert.ok(stats.some(({ tag, val }) => tag === p.DomainMemoryStatTags.RSS && val > 10_000));
    }),

  "limits and shares are set and read": (world) =>
    withGuest(world, async (dom) => {
      const { on, virsh } = world;
      const groups: readonly [GetParameters, SetParameters, TypedParameter][] = [
        [p.domainGetMemoryParameters, p.domainSetMemoryParameters, ullong("soft_limit", 200_000)],
        [p.domainGetNumaParameters, p.domainSetNumaParameters, text("numa_nodeset", "0")],
        [p.domainGetBlkioParameters, p.domainSetBlkioParameters, uint("weight", 500)],
      ];
      for (const [get, set, wanted] of groups) {
        await on.answers(set, { dom, params: [wanted], flags: config });
        const flags = p.flags(config, p.TypedParameterFlags.PARAM_STRING_OKAY);
        const { nparams } = await on.answers(get, { dom, nparams: 0, flags });
        const { params } = await on.answers(get, { dom, nparams, flags });
        assert.equal(valueOf(params, wanted.field), wanted.value.value, wanted.field);
      }
      assert.match(await virsh("memtune", dom.name, "--config"), /soft_limit\s*: 200000$/m);
      assert.match(await virsh("numatune", dom.name, "--config"), /numa_nodeset\s*: 0$/m);
      assert.match(await virsh("blkiotune", dom.name, "--config"), /weight\s*: 500$/m);

      const { type, nparams } = await on.answers(p.domainGetSchedulerType, { dom });
      assert.equal(type, "posix");
      const shares = [ullong("cpu_shares", 2000)];
      await on.answers(p.domainSetSchedulerParametersFlags, { dom, params: shares, flags: live });
      const ask = { dom, nparams, flags: live };
      const { params } = await on.answers(p.domainGetSchedulerParametersFlags, ask);
      assert.equal(valueOf(params, "cpu_shares"), 2000);
      assert.match(await virsh("schedinfo", dom.name), /cpu_shares\s*: 2000$/m);
    }),
};
