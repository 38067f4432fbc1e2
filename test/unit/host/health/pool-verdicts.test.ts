import assert from "node:assert/strict";
import test from "node:test";
import type { FilesystemSpace } from "../../../../agent/hardware/storage/filesystem.ts";
import type { Reading } from "../../../../agent/hardware/reading.ts";
import type { PoolDetails, PoolFacts } from "../../../../agent/host/inventory/libvirt-facts.ts";
import { poolVerdicts } from "../../../../agent/host/health/pool-verdicts.ts";

const well: PoolDetails = {
  type: "dir",
  active: true,
  accessible: true,
  autostart: true,
  path: "/pool",
  capacityBytes: 100,
  allocatedBytes: 40,
  availableBytes: 60,
};
const space: FilesystemSpace = { sizeBytes: 100, usedBytes: 40, availableBytes: 60, availableRatio: 0.6 };
const read = (changes: Partial<PoolDetails> = {}): PoolFacts["details"] => ({
  kind: "read",
  value: { ...well, ...changes },
});

function verdictOn(details: PoolFacts["details"], at?: Reading<FilesystemSpace>): string {
  const spaces = new Map(at === undefined ? [] : [["/pool", at]]);
  const verdict = poolVerdicts([{ name: "images", details }], spaces).get("images");
  return `${verdict?.kind ?? "none"}: ${verdict?.evidence ?? ""}`;
}

for (const [what, details, at, expected] of [
  ["is good on a filesystem that answers", read(), { kind: "read", value: space }, "good: … is well"],
  ["is good if its filesystem was not read", read(), undefined, "good: … is well"],
  [
    "is bad if its filesystem does not answer",
    read(),
    { kind: "failed", reason: "/pool: no answer" },
    "bad: … does not answer: /pool: no answer",
  ],
  ["is bad if libvirt cannot reach it", read({ accessible: false }), undefined, "bad: … cannot be reached"],
  [
    "is bad if it should start with the host and did not",
    read({ active: false }),
    undefined,
    "bad: … is set to autostart but is not active",
  ],
  [
    "is good if it is not in use, whatever its filesystem's state",
    read({ active: false, autostart: false }),
    { kind: "failed", reason: "/pool: no answer" },
    "good: … is not in use",
  ],
  [
    "is bad if only the pool does not answer",
    { kind: "failed", reason: "storage error", code: "internal" },
    undefined,
    "bad: … does not answer: storage error",
  ],
  [
    "is unknown while libvirt is unavailable",
    { kind: "failed", reason: "not connected", code: "unavailable" },
    undefined,
    "unknown: … does not answer: not connected",
  ],
  [
    "is unknown while libvirt accepts no more calls",
    { kind: "failed", reason: "too many calls wait", code: "exhausted" },
    undefined,
    "unknown: … does not answer: too many calls wait",
  ],
  [
    "is no fault if libvirt cannot query pools",
    { kind: "unsupported", reason: "no storage driver" },
    undefined,
    "absent: … cannot be queried: no storage driver",
  ],
] as const) {
  test(`a storage pool ${what}`, () => {
    assert.equal(verdictOn(details, at), expected.replace("…", "storage pool images"));
  });
}

test("each pool has its own verdict", () => {
  const pools = [
    { name: "good", details: read() },
    { name: "bad", details: read({ accessible: false }) },
  ];
  const verdicts = [...poolVerdicts(pools, new Map())].map(([name, { kind }]) => `${name} ${kind}`);
  assert.deepEqual(verdicts, ["good good", "bad bad"]);
});
