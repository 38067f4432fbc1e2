import assert from "node:assert/strict";
import test from "node:test";
import { KernelFaults } from "../../../agent/hardware/kernel-fault.ts";

/** What is made of lines of the kernel's log, each with its time in seconds. */
function faultsOf(log: string): KernelFaults {
  const faults = new KernelFaults();
  for (const [index, line] of log.trim().split("\n").entries()) {
    const [, seconds, text] = /^\[ *([\d.]+)\] (.*)$/.exec(line) ?? assert.fail(line);
    faults.take(`0,${index},${Math.round(Number(seconds) * 1e6)},-;${text}`);
  }
  return faults;
}

test("AMD's machine checks, as its decoder tells them: each is one, and deferred is not corrected", () => {
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
