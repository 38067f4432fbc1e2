// Loaded into an agent first (node --import): kills it with SIGKILL at a boundary of its journals of operations and
// reservations. The file SOCLE_DEATH holds the boundary's number, counted from the next new operation or reservation, which
// takes the file away: each write has one boundary before and one after it, each sync one after it. With "begin" in the file
// the agent lives, and takes it away once such a begin is durable.
import { readFileSync, readlinkSync, unlinkSync } from "node:fs";
import { open } from "node:fs/promises";

const file = await open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();
const { write, datasync } = prototype;
/** Boundaries that are left before the last one; undefined while none is counted. */
let left;
/** The file goes once the begin is durable. */
let isAwaited = false;

const isJournal = ({ fd }) =>
  /\/(operations|reservations)\.journal$/.test(readlinkSync(`/proc/self/fd/${fd}`));
const isBegin = (buffer) => buffer.includes('"t":"begin"') || buffer.includes('"state":"held"');

function count() {
  try {
    const text = readFileSync(process.env.SOCLE_DEATH, "utf8");
    isAwaited = text === "begin";
    if (isAwaited) return;
    left = Number(text);
    unlinkSync(process.env.SOCLE_DEATH);
  } catch (thrown) {
    if (thrown.code !== "ENOENT") throw thrown;
  }
}

function pass() {
  if (left === undefined) return;
  if (left === 0) process.kill(process.pid, "SIGKILL");
  left -= 1;
}

prototype.write = async function (buffer, ...rest) {
  if (!isJournal(this)) return await write.call(this, buffer, ...rest);
  if (left === undefined && isBegin(buffer)) count();
  pass();
  const written = await write.call(this, buffer, ...rest);
  pass();
  return written;
};

prototype.datasync = async function () {
  await datasync.call(this);
  if (isAwaited && isJournal(this)) {
    isAwaited = false;
    unlinkSync(process.env.SOCLE_DEATH);
  }
  if (left !== undefined && isJournal(this)) pass();
};
