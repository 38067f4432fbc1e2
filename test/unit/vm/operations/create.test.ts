import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  CLAIMED,
  OFF,
  OFF_AFTER_CRASH,
  OFF_BY_DAEMON,
  OFF_AFTER_SHUTDOWN,
  OPERATION,
  RUNNING,
  cancelled,
  count,
  create,
  defined,
  document,
  fresh,
  intent,
  noDomain,
  noVolume,
  ownMetadata,
  refusal,
  silence,
  spec,
  described,
  hasVolume,
  volume,
  xml,
} from "../../../support/vm/creation.ts";
import { buildVmDomain, buildVmMetadata } from "../../../../agent/vm/model/vm-domain.ts";

test("an interrupted creation whose VM runs changes nothing: no volume, no definition, no start", async () => {
  const { result, called } = await create({ ...defined, DOMAIN_GET_STATE: [RUNNING] }, { resumed: true });
  assert.equal(result?.["state"], "running");
  for (const change of ["STORAGE_VOL_CREATE_XML", "DOMAIN_DEFINE_XML_FLAGS", "DOMAIN_CREATE_WITH_FLAGS"])
    assert.equal(count(called, change), 0, change);
});

test("an interrupted creation that had not started its VM starts it", async () => {
  const { result, called } = await create({ ...defined, DOMAIN_GET_STATE: [OFF] }, { resumed: true });
  assert.equal(result?.["state"], "running");
  assert.equal(count(called, "DOMAIN_CREATE_WITH_FLAGS"), 1);
});

test("an interrupted creation whose VM ran and stopped does not start it again", async () => {
  const reported = await create(
    { ...defined, DOMAIN_GET_STATE: [OFF_AFTER_SHUTDOWN] },
    { resumed: true, state: "stopped" },
  );
  // libvirt was restarted and has lost the reason for the off state; the record of the step has not.
  const recorded = await create(
    { ...defined, DOMAIN_GET_STATE: [OFF] },
    { resumed: true, done: ["start"], state: "stopped" },
  );
  for (const { result, called } of [reported, recorded]) {
    assert.equal(result?.["state"], "stopped");
    assert.equal(count(called, "DOMAIN_CREATE_WITH_FLAGS"), 0);
  }
});

test("a creation stamps its domain as complete, and an older state directory does not start the VM again", async () => {
  const made = await create(fresh);
  assert.equal(count(made.called, "DOMAIN_SET_METADATA"), 1);
  const phase = async (of: "begun" | "complete") => {
    const stamp = { operation: OPERATION, phase: of };
    const stamped = buildVmDomain({ ...document, metadata: { ...document.metadata, stamp } });
    // libvirt was restarted and has lost the reason for the off state; the journal was rolled back.
    const answers = { ...defined, DOMAIN_GET_XML_DESC: [{ xml: stamped }], DOMAIN_GET_STATE: [OFF] };
    const resumed = await create(answers, {
      resumed: true,
      state: of === "complete" ? "stopped" : "running",
    });
    const [starts, stamps] = ["DOMAIN_CREATE_WITH_FLAGS", "DOMAIN_SET_METADATA"].map((call) =>
      count(resumed.called, call),
    );
    return { state: resumed.result?.["state"], starts, stamps };
  };
  assert.deepEqual(await phase("begun"), { state: "running", starts: 1, stamps: 1 });
  assert.deepEqual(await phase("complete"), { state: "stopped", starts: 0, stamps: 0 });
});

test("while libvirt does not answer, an interrupted creation neither fails nor is rolled back", async () => {
  for (const [procedure, kind] of [
    ["DOMAIN_GET_XML_DESC", "outcome_unknown"],
    ["DOMAIN_GET_STATE", "timeout"],
  ] as const) {
    const { error, called } = await create({ ...defined, [procedure]: [silence] }, { resumed: true });
    assert.equal(error?.kind, kind);
    assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
    assert.equal(count(called, "DOMAIN_UNDEFINE_FLAGS"), 0);
  }
});

test("a creation with an unknown earlier run stays outcome_unknown, whatever libvirt answers instead", async () => {
  const { error, called } = await create(
    { ...defined, DOMAIN_GET_XML_DESC: [refusal] },
    { resumed: true, done: CLAIMED },
  );
  assert.equal(error?.kind, "outcome_unknown");
  assert.match(error.message, /libvirt will not/);
  assert.equal(count(called, "STORAGE_VOL_DELETE") + count(called, "DOMAIN_UNDEFINE_FLAGS"), 0);
  const first = await create({ ...fresh, DOMAIN_GET_XML_DESC: [refusal] });
  assert.equal(first.error, refusal);
});

test("a failed creation is rolled back, however long libvirt is unavailable meanwhile", async () => {
  const away = Array.from({ length: 100 }, () => silence);
  const { error, called } = await create({
    ...fresh,
    STORAGE_VOL_LOOKUP_BY_NAME: [noVolume, ...away, volume],
    DOMAIN_CREATE_WITH_FLAGS: [refusal],
    DOMAIN_UNDEFINE_FLAGS: [silence, refusal, {}],
  });
  assert.equal(error, refusal);
  assert.equal(count(called, "DOMAIN_UNDEFINE_FLAGS"), 3);
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 1);
});

test("a part that libvirt refuses to remove is named, and the rest is rolled back", async () => {
  const { error, called } = await create({
    ...fresh,
    DOMAIN_CREATE_WITH_FLAGS: [new SocleError("invalid", "LIBVIRT_NO_NETWORK", "no network")],
    DOMAIN_UNDEFINE_FLAGS: [refusal],
  });
  assert.equal(error?.reason, "LIBVIRT_NO_NETWORK");
  assert.match(error.message, /no network; these of its parts could not be removed: libvirt will not/);
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 1);
});

test("an existing disk is neither adopted nor deleted, and no key is created", async () => {
  const [disk] = spec.disks;
  assert.ok(disk?.source.kind === "new");
  const sealed = {
    ...intent,
    spec: { ...spec, disks: [{ ...disk, source: { ...disk.source, encryption: "luks" } }] },
  };
  for (const requested of [intent, sealed] as (typeof intent)[]) {
    // An earlier run without effects does not prove that it created the volume.
    for (const resumed of [false, true]) {
      const there = { ...fresh, ...hasVolume };
      const { error, called } = await create(there, { requested, resumed, done: resumed ? ["resolve"] : [] });
      assert.equal(error?.reason, "VOLUME_EXISTS");
      for (const change of [
        "STORAGE_VOL_DELETE",
        "STORAGE_VOL_CREATE_XML",
        "SECRET_DEFINE_XML",
        "SECRET_UNDEFINE",
      ])
        assert.equal(count(called, change), 0, change);
    }
  }
});

test("a disk that libvirt refused to create is not deleted: it may be another agent's", async () => {
  const { error, called } = await create({ ...fresh, STORAGE_VOL_CREATE_XML: [refusal] });
  assert.equal(error, refusal);
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
});

test("a rollback leaves alone what another VM with the same id owns by then", async () => {
  const other = { tenant: "", labels: {}, spec: "{}", specDigest: "", placementEpoch: 0, createdAt: "" };
  const metadata = buildVmMetadata({ ...other, instance: "6f1c2f1e-0000-4000-8000-0000000000ff" });
  const { error, called } = await create({
    ...fresh,
    DOMAIN_CREATE_WITH_FLAGS: [refusal],
    DOMAIN_GET_METADATA: [{ metadata }],
  });
  assert.equal(error, refusal);
  for (const change of ["STORAGE_VOL_DELETE", "DOMAIN_UNDEFINE_FLAGS", "DOMAIN_DESTROY_FLAGS"])
    assert.equal(count(called, change), 0, change);
});

test("a domain that appeared before the definition is not redefined", async () => {
  const { error, called } = await create({ ...fresh, DOMAIN_GET_STATE: [OFF] });
  assert.equal(error?.reason, "VM_EXISTS");
  assert.equal(count(called, "DOMAIN_DEFINE_XML_FLAGS"), 0);
});

test("the free names are journaled before anything is created", async () => {
  const { begun } = await create(fresh);
  assert.deepEqual(begun, ["resolve", "claim volumes, on the disk", "volume data", "define", "start"]);
});

test("a disk created between check and creation stays, also after a rollback", async () => {
  const { error, called } = await create({ ...fresh, STORAGE_VOL_GET_XML_DESC: [described] });
  assert.equal(error?.reason, "VOLUME_EXISTS");
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
});

test("an interrupted creation adopts its own volume, and deletes it when it fails", async () => {
  const interrupted = { ...fresh, ...hasVolume };
  const well = await create(interrupted, { resumed: true, done: CLAIMED });
  assert.equal(well.result?.["state"], "running");
  assert.equal(count(well.called, "STORAGE_VOL_CREATE_XML"), 0);
  const failed = await create(
    { ...interrupted, DOMAIN_DEFINE_XML_FLAGS: [refusal] },
    { resumed: true, done: CLAIMED },
  );
  assert.equal(failed.error, refusal);
  assert.equal(count(failed.called, "STORAGE_VOL_DELETE"), 1);
});

test("a creation with a lost reply for its volume stays outcome_unknown and rolls nothing back", async () => {
  const lost = new SocleError("outcome_unknown", "LIBVIRT_OUTCOME_UNKNOWN", "lost");
  const away = Array.from({ length: 1000 }, () => silence);
  const { error, called } = await create({
    ...fresh,
    STORAGE_VOL_CREATE_XML: [lost],
    STORAGE_VOL_LOOKUP_BY_NAME: [noVolume, ...away],
  });
  assert.equal(error?.kind, "outcome_unknown");
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
});

test("a creation cancelled after an interruption is rolled back completely, its guest included", async () => {
  const halfMade = await create({ ...fresh, ...hasVolume }, { resumed: true, done: CLAIMED, cancel: true });
  const runs = await create(
    {
      ...defined,
      DOMAIN_GET_STATE: [RUNNING],
      DOMAIN_DESTROY_FLAGS: [{}],
      DOMAIN_GET_METADATA: [{ metadata: ownMetadata }],
    },
    { resumed: true, cancel: true },
  );
  for (const { error, called } of [halfMade, runs]) {
    assert.equal(error, cancelled);
    assert.equal(count(called, "STORAGE_VOL_DELETE"), 1);
    assert.equal(count(called, "DOMAIN_UNDEFINE_FLAGS"), 1);
  }
  assert.equal(count(runs.called, "DOMAIN_DESTROY_FLAGS"), 1);
});

test("a creation cancelled before any effect changes nothing", async () => {
  for (const resumed of [false, true]) {
    const there = { ...fresh, ...hasVolume };
    const { error, called } = await create(there, { resumed, cancel: true });
    assert.equal(error, cancelled);
    assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
  }
  // A foreign domain; only a person can have created it under this id.
  const foreign = { ...defined, DOMAIN_GET_XML_DESC: [{ xml: xml.replace(/(specDigest>)/, "$1other") }] };
  const { error, called } = await create(foreign, { resumed: true, done: CLAIMED, cancel: true });
  assert.equal(error?.reason, "VM_EXISTS");
  assert.equal(count(called, "DOMAIN_UNDEFINE_FLAGS") + count(called, "STORAGE_VOL_DELETE"), 0);
});

test("a guest that ran and ended while libvirt did not answer keeps its disks", async () => {
  const lost = new SocleError("outcome_unknown", "LIBVIRT_DISCONNECTED", "the answer was lost");
  const answers = { ...fresh, DOMAIN_CREATE_WITH_FLAGS: [lost] };
  const looks = { DOMAIN_GET_STATE: [noDomain, OFF_AFTER_CRASH] };
  const ran = await create({ ...answers, ...looks }, { state: "stopped" });
  assert.deepEqual([ran.error, ran.result?.["state"]], [undefined, "stopped"]);
  assert.equal(count(ran.called, "STORAGE_VOL_DELETE"), 0);
  for (const off of [OFF, OFF_BY_DAEMON]) {
    const there = { DOMAIN_GET_STATE: [noDomain, off], DOMAIN_GET_METADATA: [{ metadata: ownMetadata }] };
    const didNotRun = await create({ ...answers, ...there });
    assert.equal(didNotRun.error?.reason, "EFFECT_NOT_OBSERVED");
    assert.equal(count(didNotRun.called, "STORAGE_VOL_DELETE"), 1);
  }
});

test("disks that a guest may have used stay when another client undefined its domain", async () => {
  const lost = new SocleError("outcome_unknown", "LIBVIRT_DISCONNECTED", "the answer was lost");
  const transient = new SocleError(
    "invalid",
    "LIBVIRT_INVALID_ARG",
    "transient domains have no persistent config",
  );
  const gone = { DOMAIN_GET_STATE: [noDomain], DOMAIN_CREATE_WITH_FLAGS: [noDomain] };
  const cancelledLater = { resumed: true, done: CLAIMED, cancel: true };
  const afterwards = [
    await create({ ...defined, ...gone }, { resumed: true, done: CLAIMED }),
    await create({ ...fresh, ...gone, DOMAIN_CREATE_WITH_FLAGS: [lost] }),
    // The guest still runs.
    await create(
      {
        ...defined,
        DOMAIN_GET_STATE: [RUNNING],
        DOMAIN_GET_METADATA: [transient],
      },
      cancelledLater,
    ),
  ];
  for (const { error, called } of afterwards) {
    assert.match(error?.message ?? "", /undefined it.*not deleted: images\/socle-.*-data\.qcow2/);
    assert.equal(count(called, "STORAGE_VOL_DELETE") + count(called, "DOMAIN_DESTROY_FLAGS"), 0);
  }
  const neverRan = await create({ ...fresh, ...gone });
  assert.equal(count(neverRan.called, "STORAGE_VOL_DELETE"), 1);
});

test("the disks of a domain that ran and cannot be undefined stay with it", async () => {
  const { error, called } = await create(
    {
      ...defined,
      DOMAIN_GET_STATE: [RUNNING],
      DOMAIN_GET_METADATA: [{ metadata: ownMetadata }],
      DOMAIN_UNDEFINE_FLAGS: [refusal],
    },
    { resumed: true, done: CLAIMED, cancel: true },
  );
  assert.match(error?.message ?? "", /could not be removed: libvirt will not/);
  assert.equal(count(called, "STORAGE_VOL_DELETE"), 0);
});

for (const [how, more] of [
  ["ran", { done: [...CLAIMED, "define", "start"] }],
  ["may have run", { done: [...CLAIMED, "define"], cutOff: ["start"] }],
] as const)
  test(`a VM that ${how} and that another client removed is not created again, and its disks stay`, async () => {
    const { error, called } = await create(fresh, { resumed: true, ...more });
    assert.equal(error?.reason, "VM_REMOVED");
    assert.match(error.message, /its disks were not deleted: images\/socle-.*-data\.qcow2/);
    for (const change of ["STORAGE_VOL_CREATE_XML", "DOMAIN_DEFINE_XML_FLAGS", "STORAGE_VOL_DELETE"])
      assert.equal(count(called, change), 0, change);
  });
