// Loaded into an agent first (node --import): kills it with SIGKILL at a boundary of its journals of operations and
// reservations. SOCLE_DIE_AT_BOUNDARY=N selects the boundary, counted from the first new operation or reservation: each write
// has one boundary before and one after it, each sync one after it.
import { readlinkSync } from "node:fs";
import { open } from "node:fs/promises";

const at = Number(process.env.SOCLE_DIE_AT_BOUNDARY ?? "NaN");
const file = await open("/dev/null");
const prototype = Object.getPrototypeOf(file);
await file.close();
const { write, datasync } = prototype;
let boundary = -1;

const isJournal = ({ fd }) =>
  /\/(operations|reservations)\.journal$/.test(readlinkSync(`/proc/self/fd/${fd}`));
const isBegin = (buffer) => buffer.includes('"t":"begin"') || buffer.includes('"state":"held"');

function pass() {
  if (boundary === at) process.kill(process.pid, "SIGKILL");
  boundary += 1;
}

prototype.write = async function (buffer, ...rest) {
  if (!isJournal(this)) return await write.call(this, buffer, ...rest);
  if (boundary === -1 && isBegin(buffer)) boundary = 0;
  if (boundary === -1) return await write.call(this, buffer, ...rest);
  pass();
  const written = await write.call(this, buffer, ...rest);
  pass();
  return written;
};

prototype.datasync = async function () {
  await datasync.call(this);
  if (boundary !== -1 && isJournal(this)) pass();
};
