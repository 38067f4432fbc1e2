import assert from "node:assert/strict";
import { test } from "node:test";
import { DomainJobOperation, type Libvirt } from "../../../../agent/libvirt/index.ts";
import { MigrationWatch } from "../../../../agent/vm/observation/migration-watch.ts";

const { signal } = new AbortController();
const dom = { name: "a", uuid: "00000000-0000-4000-8000-000000000001", id: 1 };
const job = (operation: number): unknown => ({
  type: 2,
  params: [
    { field: "operation", value: { type: "int", value: operation } },
    { field: "data_processed", value: { type: "ullong", value: 300 } },
    { field: "data_remaining", value: { type: "ullong", value: 700 } },
  ],
});

function watch(...answers: unknown[]): { migrations: MigrationWatch; left: unknown[] } {
  const call = (): Promise<unknown> => Promise.resolve(answers.shift());
  return { migrations: new MigrationWatch({ call } as Pick<Libvirt, "call">), left: answers };
}

test("a migrating VM is polled for its progress until the migration ends", async () => {
  const { migrations, left } = watch(job(DomainJobOperation.MIGRATION_OUT), { type: 0, params: [] }, job(5));
  assert.equal((await migrations.progress(new Set(), signal)).size, 0);
  assert.equal(left.length, 3, "no VM migrates, so no VM is polled");
  migrations.began(dom);
  const progress = await migrations.progress(new Set(), signal);
  assert.deepEqual([...progress], [[dom.uuid, { processedBytes: 300, remainingBytes: 700 }]]);
  assert.equal((await migrations.progress(new Set(), signal)).size, 0);
  await migrations.progress(new Set(), signal);
  assert.equal(left.length, 1, "the migration ended: no further poll");
});

test("a guest that does not answer is not polled, and another job is no migration", async () => {
  const { migrations, left } = watch(job(DomainJobOperation.SAVE));
  migrations.began(dom);
  assert.equal((await migrations.progress(new Set([dom.uuid]), signal)).size, 0);
  assert.equal(left.length, 1);
  assert.equal((await migrations.progress(new Set(), signal)).size, 0);
});
