import assert from "node:assert/strict";
import test from "node:test";
import { KernelFaults } from "../../../../agent/hardware/system/kernel-fault.ts";

/** The faults found in lines of the kernel's log, each with its time in seconds. */
function faultsOf(log: string): KernelFaults {
  const faults = new KernelFaults();
  for (const [index, line] of log.trim().split("\n").entries()) {
    const [, seconds, text] = /^\[ *([\d.]+)\] (.*)$/.exec(line) ?? assert.fail(line);
    faults.take(`0,${index},${Math.round(Number(seconds) * 1e6)},-;${text}`);
  }
  return faults;
}

test("AMD machine checks are read from their decoder's lines: each counts once, and deferred is not corrected", () => {
  const faults = faultsOf(`
[  333.236610] mce: [Hardware Error]: Machine check events logged
[  333.239325] [Hardware Error]: Corrected error, no action required.
[  333.241526] [Hardware Error]: CPU:0 (17:1:1) MC15_STATUS[Over|CE|MiscV|AddrV|-|-|SyndV|CECC|-|-|-]: 0xdc2040000000011b
[  333.243792] [Hardware Error]: Error Addr: 0x0000000065aa27c0
[  333.245899] [Hardware Error]: IPID: 0x0000009600050f00, Syndrome: 0x000040200a401000
[  333.248064] [Hardware Error]: Unified Memory Controller Ext. Error Code: 0
[  333.277746] [Hardware Error]: cache level: L3/GEN, tx: GEN, mem-tx: RD
[74536.938995] [Hardware Error]: Deferred error, no action required.
[74536.939002] [Hardware Error]: CPU:0 (17:1:1) MC15_STATUS[Over|-|MiscV|AddrV|-|-|SyndV|UECC|Deferred|-|-]: 0xdc2030000000011b
[74536.939023] [Hardware Error]: Error Addr: 0x00000003aeb64240
[74536.939030] [Hardware Error]: IPID: 0x0000009600050f00, Syndrome: 0x000060600b404000
[74536.939042] [Hardware Error]: Unified Memory Controller Ext. Error Code: 0, DRAM ECC error.
[74536.939074] [Hardware Error]: cache level: L3/GEN, tx: GEN, mem-tx: RD
[74540.940848] mce: [Hardware Error]: Machine check events logged
[74540.940859] [Hardware Error]: Uncorrected, software restartable error.
[74540.940867] [Hardware Error]: CPU:7 (17:1:1) MC0_STATUS[-|UE|MiscV|AddrV|-|-|-|UECC|-|Poison|-]: 0xbc002800000c0135
`);
  assert.equal(faults.counts.get("machine_check"), 3);
  assert.deepEqual(
    faults.newest.map(({ isUncorrected, text }) => [
      isUncorrected,
      /MC\d+_STATUS\[[^|]*\|[^|]*/.exec(text)?.[0],
    ]),
    [
      [false, undefined],
      [true, "MC15_STATUS[Over|-"],
      [true, "MC0_STATUS[-|UE"],
    ],
  );
});

test("firmware reports carry their kind: lost memory data, not a bus that lost a packet", () => {
  const report = (seconds: number, id: number, severity: string, part: string): string =>
    [
      "Hardware error from APEI Generic Hardware Error Source: 1",
      `event severity: ${severity}`,
      ` Error 0, type: ${severity}`,
      "  fru_text: A1",
      `  section_type: ${part}`,
      "  version: 3.0",
    ]
      .map((text) => `[${seconds}.000000] {${id}}[Hardware Error]: ${text}`)
      .join("\n");
  const faults = faultsOf(
    [
      report(10, 1, "corrected", "memory error"),
      report(20, 2, "recoverable", "PCIe error"),
      report(30, 3, "recoverable", "memory error"),
      // Within the same second, and worse than the error that it is counted with.
      report(40, 4, "recoverable", "PCIe error"),
      report(40, 5, "recoverable", "general processor error"),
    ].join("\n"),
  );
  assert.equal(faults.counts.get("machine_check"), 4);
  assert.deepEqual(
    faults.newest.map(({ isUncorrected }) => isUncorrected),
    [false, false, true, true],
  );
  assert.match(faults.newest[2]?.text ?? "", /memory error \(recoverable\)/);
});

test("each fault is found by the texts of kernels of these years", () => {
  for (const [kind, text] of [
    ["lockup", "rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 3-... }"],
    ["lockup", "BUG: workqueue lockup - pool cpus=0 node=0 flags=0x0 nice=0 stuck for 43s!"],
    ["hung_task", "INFO: task qemu-system-x86:1234 blocked in I/O wait for more than 120 seconds."],
    ["oops", "divide error: 0000 [#1] PREEMPT SMP NOPTI"],
    ["io_error", "critical medium error, dev sdd, sector 4 op 0x0:(READ) flags 0x0 phys_seg 1 prio class 0"],
    ["io_error", "blk_update_request: critical space allocation error, dev dm-4, sector 80 op 0x1:(WRITE)"],
    // The kernel stops asking a device for a feature that it lacks: no fault.
    [undefined, "operation not supported error, dev nvme0n1, sector 0 op 0x9:(WRITE_ZEROES) flags 0x0"],
    [undefined, "critical target error, dev sda, sector 0 op 0x3:(DISCARD) flags 0x800"],
  ] as const) {
    assert.deepEqual(
      faultsOf(`[1.000000] ${text}`).newest.map((fault) => fault.kind),
      kind === undefined ? [] : [kind],
      text,
    );
  }
  const [hung] = faultsOf(
    "[1.0] INFO: task qemu-system-x86:1234 blocked in I/O wait for more than 120 seconds.",
  ).newest;
  assert.equal(hung?.task, "qemu-system-x86");
});
